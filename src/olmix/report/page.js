// Opens the section that the address names, also where a link leads to it.
const reveal = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const part = target?.querySelector("details.part");
  if (!part || part.open) return;
  part.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", reveal);
reveal();

// A tab stop only where something scrolls; the others are stepped over.
const scrollers = new ResizeObserver((entries) => entries.forEach(({ target }) => {
  const scrolls = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
  if (scrolls) target.tabIndex = 0;
  else target.removeAttribute("tabindex");
}));
document.querySelectorAll(".scroll, .slides, pre").forEach((one) => scrollers.observe(one));

// Sorts a table by a column when its heading is pressed; without scripts the table stays as it is.
document.querySelectorAll("table.sortable").forEach((table) => {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent.trim();
    const number = Number(text);
    return { text, number: text === "" || Number.isNaN(number) ? null : number };
  };
  const compare = (a, b) =>
    a.number !== null && b.number !== null
      ? a.number - b.number
      : a.text.localeCompare(b.text, undefined, { numeric: true });
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => ({ row, key: value(row, column) }));
      rows.sort((a, b) => {
        // Rows without a value come last in both directions.
        if (a.key.text === "" || b.key.text === "") return (a.key.text === "") - (b.key.text === "");
        return (down ? -1 : 1) * compare(a.key, b.key);
      });
      body.append(...rows.map((entry) => entry.row));
    });
  });
});
