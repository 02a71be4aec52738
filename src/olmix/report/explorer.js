// Predicts the mixture that the sliders show. The laws are those of olmix/fit, formula by formula;
// x is a mixture, an array with a weight for each domain.
(() => {
  const source = document.getElementById("explorer-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const size = data.domains.length;
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  // y = offset + exp(intercept + slopes . phi(x))
  const exponential = (law, phi) => (x) => {
    const rise = Math.exp(law.intercept + sum(x.map((w, d) => law.slopes[d] * phi(w))));
    return law.offset + Math.min(rise, law.most ?? Infinity);
  };

  // Matern 3/2 kernel of standardised coordinates, times the solution; then unscaled.
  const gaussianProcess = (law, phi) => {
    const place = (x) =>
      Float64Array.from(x, (w, d) => (phi(w) - law.middle[d]) / law.width[d] / law.lengths[d]);
    const points = law.rows.map((row) => place(data.mixtures[row]));
    return (x) => {
      const here = place(x);
      let target = 0;
      // Plain loops: this is where the time goes.
      for (let i = 0; i < points.length; i += 1) {
        let square = 0;
        for (let d = 0; d < size; d += 1) square += (points[i][d] - here[d]) ** 2;
        const bent = Math.sqrt(3 * square);
        target += (law.mean + law.signal * (1 + bent) * Math.exp(-bent)) * law.solution[i];
      }
      const level = law.centre + law.scale * target;
      return law.offset === null ? level : law.offset + Math.exp(level);
    };
  };

  // y = constant + sum of effects times u, which falls from 1 (none of a domain) to 0 (all of it).
  const powerSum = (law) => (x) => law.constant + sum(x.map((w, d) => {
    const [shift, exponent] = [law.shifts[d], law.exponents[d]];
    const top = (1 + shift) ** -exponent;
    return law.effects[d] * ((w + shift) ** -exponent - top) / (shift ** -exponent - top);
  }));

  const epochs = (law) => (x) => law.floor + Math.exp(Math.min(Math.max(law.intercept + sum(x.map((w, d) => {
    const passes = Math.max(w, 0) * law.passes[d];
    const late = Math.log1p(passes) - law.tau;
    const harm = Math.max(late, 0) + Math.log1p(Math.exp(-Math.abs(late)));
    return law.benefits[d] * Math.expm1(-((law.rho * passes) ** law.power)) + law.harms[d] * harm ** 2;
  })), -30), 30));

  const trees = (law) => (x) => sum(law.trees.map((tree) => {
    if (tree.split_feature.length === 0) return tree.leaf_value[0];
    let node = 0;
    while (node >= 0) {
      const left = x[tree.split_feature[node]] <= tree.threshold[node];
      node = left ? tree.left_child[node] : tree.right_child[node];
    }
    return tree.leaf_value[-node - 1];
  }));

  const roots = data.mixtures.map((mixture) => mixture.map((w) => Math.sqrt(Math.max(w, 0))));
  const overlap = (x, row) => {
    let total = 0;
    for (let d = 0; d < size; d += 1) total += Math.sqrt(x[d]) * roots[row][d];
    return total;
  };
  const nearestRun = (law) => (x) => {
    const found = law.rows.map((row) => overlap(x, row));
    return law.values[found.indexOf(Math.max(...found))];
  };

  // y = intercept + sum of loadings times components, which all metrics share: the last are kept.
  const bases = [];
  const components = (law) => {
    bases[law.basis] ??= { members: data.bases[law.basis].map((one) => predictor(one)) };
    const basis = bases[law.basis];
    return (x) => {
      if (basis.at !== x) Object.assign(basis, { at: x, values: basis.members.map((predict) => predict(x)) });
      return law.intercept + sum(law.loadings.map((loading, k) => loading * basis.values[k]));
    };
  };

  const predictor = (law) => {
    switch (law.law) {
      case "log_linear": return exponential(law, (w) => w);
      case "log_weight": return exponential(law, (w) => Math.log(w + law.eps));
      case "gp_sqrt": return gaussianProcess(law, (w) => Math.sqrt(w + law.shift));
      case "gp_log": return gaussianProcess(law, (w) => Math.log(w + law.shift));
      case "autoscale": case "bimix": return powerSum(law);
      case "epochs": return epochs(law);
      case "lightgbm": return trees(law);
      case "search": return nearestRun(law);
      case "components": return components(law);
      case "stacked": {
        const members = law.members.map((one) => [one.weight, predictor(one.law)]);
        const offset = law.offset ?? 0;
        return (x) => offset + sum(members.map(([weight, predict]) => weight * predict(x)));
      }
      default: throw new Error(`no formula for the law ${law.law}`);
    }
  };

  // Laws are fitted to losses: metrics of which more is better have their sign turned.
  const metrics = data.metrics.map((metric) => {
    const predict = predictor(metric.law);
    return { ...metric, predict: metric.lower ? predict : (x) => -predict(x) };
  });
  const objective = {
    ...data.objective,
    predict: (x) => sum(metrics.filter((m) => m.weight !== 0).map((m) => m.weight * m.predict(x))),
  };
  const shown = metrics.filter((m) => m.weight !== 0).length > 1 ? [objective, ...metrics] : metrics;

  // Hellinger distance from the nearest run; how far the objective lies beyond what was tried (1 at
  // the best mixture, the root beyond); half the 90 % interval of one run there.
  const distance = (x) =>
    Math.sqrt(Math.max(1 - Math.max(...roots.map((_, row) => overlap(x, row))), 0));
  const ahead = (x, far) => {
    const { good, best, reach } = objective.calibration;
    if (good == null || best == null || reach == null) return 0;
    const share = Math.max((objective.predict(x) - good) / (best - good), 0);
    if (Number.isNaN(share)) return 0;
    const grown = share === Infinity ? 1 : Math.min(Math.sqrt(share), 2);
    return (share > 1 ? grown : share) * Math.min((2 * far) / reach, 1);
  };
  const halfWidth = ({ calibration }, far, beyond) => {
    const share = far / (calibration.reach ?? Infinity);
    const growth = Math.max(1, share) ** 2;
    const out = Math.min(Math.max(4 * share - 3, 0), 1);
    return Math.max(
      calibration.quantile * (calibration.base + calibration.slope * far) * growth,
      (calibration.outer ?? 0) * out * growth,
      (calibration.beyond ?? 0) * beyond,
    );
  };
  const interval = (metric, value, half) => {
    const { lowest, highest } = metric.calibration;
    const inside = (end) => Math.min(Math.max(end, lowest ?? -Infinity), highest ?? Infinity);
    return [inside(value - half), inside(value + half)];
  };

  const section = document.getElementById("explore");
  const sliders = [...section.querySelectorAll("input[type=range]")];
  const typed = [...section.querySelectorAll(".slides input[type=text]")];
  const locks = [...section.querySelectorAll(".slides input[type=checkbox]")];
  const rows = [...section.querySelectorAll("tbody tr")];
  const choice = section.querySelector(".curve select");
  const other = section.querySelector(".against select");
  const note = section.querySelector(".note");
  const refused = section.querySelector(".refused");
  const yaml = section.querySelector("pre");
  const natural = data.presets[data.start] ?? null;
  const pinned = new Set(data.pinned.flatMap((weight, d) => (weight === null ? [] : [d])));
  // Sliders stand in the order of the table of domains; a pinned domain has none.
  const domainOf = (input) => Number(input.dataset.domain);
  const even = (1 - sum(data.pinned.map((weight) => weight ?? 0))) / Math.max(size - pinned.size, 1);
  let weights = data.presets.proposed ?? natural ?? data.pinned.map((weight) => weight ?? even);
  let active = weights.indexOf(Math.max(...weights));
  if (pinned.has(active) && sliders.length > 0) active = domainOf(sliders[0]);
  // The mixture before the first move of the active domain: its proportions are those of the others
  // however far the slider goes and comes back.
  let anchor = weights;

  const number = (value) => value.toFixed(Math.abs(value) >= 100 ? 2 : 4);
  const signed = (value) => (value < 0 ? "\u2212" : "+") + number(Math.abs(value));
  const percent = (value) => `${(100 * value).toFixed(1)} %`;

  const isFixed = (domain) =>
    pinned.has(domain) || locks.some((lock) => lock.checked && domainOf(lock) === domain);

  // What pinned and locked domains leave to a domain and the others.
  const roomOf = (x, domain) => 1 - sum(x.filter((_, d) => d !== domain && isFixed(d)));

  // One weight changes; the others keep their proportions and make room, but for locked ones.
  const moved = (x, domain, weight) => {
    const fixed = x.map((_, d) => d !== domain && isFixed(d));
    const room = roomOf(x, domain);
    const free = fixed.filter((one, d) => !one && d !== domain).length;
    const rest = sum(x.filter((_, d) => !fixed[d] && d !== domain));
    const own = free === 0 ? room : Math.min(Math.max(weight, 0), room);
    return x.map((w, d) => {
      if (fixed[d]) return w;
      if (d === domain) return own;
      return rest > 1e-12 ? w * (room - own) / rest : (room - own) / free;
    });
  };

  const showMetrics = (far) => {
    const base = other === null ? null : data.presets[other.value];
    const beyond = ahead(weights, far);
    shown.forEach((metric, index) => {
      const [, value, change, range] = rows[index].cells;
      const predicted = metric.predict(weights);
      const [low, high] = interval(metric, predicted, halfWidth(metric, far, beyond));
      value.textContent = number(predicted);
      range.textContent = `${number(low)} to ${number(high)}`;
      Object.assign(rows[index].dataset, { predicted, low, high });
      if (base === null) return;
      // As everywhere on the page: a gain above 0 is better, whatever the direction of the metric.
      const gain = (metric.lower ? -1 : 1) * (predicted - metric.predict(base));
      const way = Math.abs(gain) < 5e-5 ? "" : gain > 0 ? "better" : "worse";
      change.textContent = `${signed(gain)} ${way}`.trim();
      change.className = way;
    });
  };

  const showNote = (far) => {
    const over = data.domains.filter((_, d) => weights[d] > data.caps[d] + 1e-6);
    const parts = [];
    if (data.usual !== null) {
      // The same limits as in olmix/records/fit/proposal.py.
      const place = far <= data.usual ? "within" : far <= data.edge * data.usual ? "at the edge of" : "outside";
      parts.push(`This mixture is ${place} what was tried.`);
      if (place === "outside") parts.push("Its predictions are extrapolations.");
    }
    if (over.length > 0) parts.push(`Above the cap of the fit: ${over.join(", ")}.`);
    note.textContent = parts.join(" ");
    note.dataset.distance = far;
  };

  // How the chosen metric changes with the weight of the domain that was moved last.
  const curve = section.querySelector("svg");
  const [width, height, left, bottom] = [440, 250, 58, 40];
  const element = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (text !== undefined) made.textContent = text;
    return made;
  };
  // Round numbers between two ends: steps of 1, 2 or 5 times a power of ten, at most five of them.
  const ticks = (low, high) => {
    const rough = (high - low || 1) / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
    const first = Math.ceil(low / step - 1e-9);
    const last = Math.floor(high / step + 1e-9);
    return Array.from({ length: Math.max(last - first + 1, 0) }, (_, i) => (first + i) * step);
  };
  const showCurve = () => {
    const metric = shown[choice.selectedIndex];
    const room = roomOf(weights, active);
    // Denser at both ends, where laws in roots and logarithms bend.
    const points = Array.from({ length: 49 }, (_, i) => {
      const weight = room * (1 - Math.cos(Math.PI * i / 48)) / 2;
      const x = moved(weights, active, weight);
      const value = metric.predict(x);
      const far = distance(x);
      const [low, high] = interval(metric, value, halfWidth(metric, far, ahead(x, far)));
      return { weight, value, low, high };
    });
    const low = Math.min(...points.map((p) => p.low));
    const high = Math.max(...points.map((p) => p.high));
    const span = high - low || 1;
    const across = (weight) => left + weight * (width - left - 12);
    const up = (value) => 8 + (high - value) / span * (height - bottom - 8);
    const path = (values) => values.map(([w, v]) => `${across(w).toFixed(1)},${up(v).toFixed(1)}`);
    const parts = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      element("line", { class: "grid", x1: across(share), x2: across(share), y1: 8, y2: height - bottom }),
      element("text", { x: across(share), y: height - bottom + 16, "text-anchor": "middle" }, 100 * share),
    ]);
    parts.push(...ticks(low, high).flatMap((value) => [
      element("line", { class: "grid", x1: left, x2: width - 12, y1: up(value), y2: up(value) }),
      element("text", { x: left - 6, y: up(value) + 4, "text-anchor": "end" }, Number(value.toPrecision(6))),
    ]));
    const band = [
      ...path(points.map((p) => [p.weight, p.high])),
      ...path(points.map((p) => [p.weight, p.low])).reverse(),
    ];
    parts.push(element("polygon", { class: "band", points: band.join(" ") }));
    parts.push(element("polyline", { class: "line", points: path(points.map((p) => [p.weight, p.value])).join(" ") }));
    data.mixtures.forEach((mixture) => parts.push(element("line", {
      class: "run", x1: across(mixture[active]), x2: across(mixture[active]), y1: height - bottom, y2: height - bottom - 6,
    })));
    parts.push(element("circle", { class: "here", cx: across(weights[active]), cy: up(metric.predict(weights)), r: 5 }));
    parts.push(element("text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle" },
      `weight of ${data.domains[active]} (%), the others in proportion`));
    curve.replaceChildren(...parts);
    curve.setAttribute("aria-label", `${metric.name} against the weight of ${data.domains[active]}: ` +
      `${number(points[0].value)} without it, ${number(metric.predict(weights))} here, ${number(points[48].value)} with nothing else.`);
  };

  // The curve asks every law dozens of times: it is drawn when the browser is ready to show it.
  let waiting = 0;
  const showCurveSoon = () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(showCurve);
  };

  const leaves = () => data.domains.flatMap((name, d) =>
    Object.entries(data.frozen[name] ?? { [name]: 1 }).map(([leaf, share]) => [leaf, share * weights[d]]));

  // A domain of several leaves is written as these, in the shares that all runs had, with the passes
  // over its tokens that a run of `run_tokens` takes.
  const mixText = () => "mix:\n" + leaves().filter(([, weight]) => weight > 0).map(([leaf, weight]) => {
    const passes = Math.max(1, weight * (data.passes[leaf] ?? 0));
    const factor = passes === 1 ? "1.0" : passes.toPrecision(6);
    return `  ${JSON.stringify(leaf)}: {weight: ${weight.toPrecision(6)}, repetition_factor: ${factor}}\n`;
  }).join("");

  const show = () => {
    sliders.forEach((slider, place) => {
      const weight = weights[domainOf(slider)];
      slider.value = weight;
      slider.setAttribute("aria-valuetext", percent(weight));
      if (document.activeElement !== typed[place]) typed[place].value = (100 * weight).toFixed(1);
    });
    section.dataset.weights = JSON.stringify(weights);
    const far = distance(weights);
    showMetrics(far);
    showNote(far);
    showCurveSoon();
    yaml.textContent = mixText();
  };

  // The address names the mixture, so that it can be sent.
  const KEY = "#mix=";
  const remember = () =>
    history.replaceState(null, "", KEY + weights.map((w) => Number(w.toFixed(5))).join(","));
  const recall = () => {
    if (!location.hash.startsWith(KEY)) return;
    const found = location.hash.slice(KEY.length).split(",").map(Number);
    const total = sum(found);
    const valid = found.length === size && found.every((w) => w >= 0) && Math.abs(total - 1) < 0.01;
    if (!valid) return;
    weights = found.map((w) => w / total);
    anchor = weights;
    section.querySelector("details").open = true;
    section.scrollIntoView();
  };

  const move = (domain, weight) => {
    refused.textContent = "";
    if (domain !== active) anchor = weights;
    active = domain;
    weights = moved(anchor, domain, weight);
    show();
    remember();
  };
  sliders.forEach((slider, place) => {
    const domain = domainOf(slider);
    slider.addEventListener("input", () => move(domain, Number(slider.value)));
    slider.addEventListener("focus", () => {
      if (active !== domain) anchor = weights;
      active = domain;
      showCurve();
    });
    // Arrows move by 0.1 %, with Shift by 1 %; Page Up and Page Down by 10 %.
    slider.addEventListener("keydown", (event) => {
      const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
      if (way === undefined || (Math.abs(way) === 1 && !event.shiftKey)) return;
      event.preventDefault();
      move(domain, weights[domain] + way / 100);
    });
    typed[place].addEventListener("change", () => take(typed[place], domain));
  });
  // A share as people type it, "0,5" or "12.5 %"; what is none of these leaves all as it was.
  const take = (input, domain) => {
    const text = input.value.trim().replace(/\s*%$/, "").replace(",", ".");
    const share = text === "" ? NaN : Number(text) / 100;
    if (Number.isFinite(share)) {
      move(domain, share);
      if (share < 0) refused.textContent = "At least 0.";
      else if (Math.abs(share - weights[domain]) > 5e-7) refused.textContent = limited(domain);
    } else if (text !== "") {
      refused.textContent = `${input.value.trim()} is not a number: write a share such as 12.5.`;
    }
    input.value = (100 * weights[domain]).toFixed(1);
  };
  const limited = (domain) => {
    const held = data.domains.filter((_, d) => d !== domain && isFixed(d));
    const room = percent(roomOf(weights, domain));
    if (held.length === 0) return `At most ${room}.`;
    const free = data.domains.some((_, d) => d !== domain && !isFixed(d));
    return `${free ? "At most" : "Stays at"} ${room}: ${held.join(", ")} locked.`;
  };
  // A locked domain cannot be moved by hand either.
  locks.forEach((lock, place) => lock.addEventListener("change", () => {
    anchor = weights;
    sliders[place].disabled = lock.checked;
    typed[place].disabled = lock.checked;
  }));
  section.querySelectorAll("button[data-mixture]").forEach((button) => {
    button.addEventListener("click", () => {
      weights = [...data.presets[button.dataset.mixture]];
      anchor = weights;
      show();
      remember();
    });
  });
  choice.addEventListener("change", showCurve);
  other?.addEventListener("change", show);
  section.querySelector(".copy").addEventListener("click", async (event) => {
    await navigator.clipboard.writeText(mixText());
    event.target.textContent = "Copied";
  });
  recall();
  section.querySelector(".sliders").hidden = false;
  show();
})();
