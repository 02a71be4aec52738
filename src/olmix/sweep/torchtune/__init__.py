"""The torchtune adapter: everything that knows torchtune's name, files and habits."""
