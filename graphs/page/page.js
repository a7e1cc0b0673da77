"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const tip = find("tip");

  // The table: what is found by the filter, sorted by a column. Looked up anew each time, for a
  // served page replaces fragments.
  const rows = () => [...document.querySelectorAll("table.features tbody tr")];

  function filter() {
    if (!find("filter")) return;
    const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const status = find("status").value;
    let shown = 0;
    for (const row of rows()) {
      const text = row.textContent.toLowerCase();
      row.hidden = (status && row.dataset.status !== status) || !words.every((w) => text.includes(w));
      shown += !row.hidden;
    }
    find("count").textContent = `${shown} shown`;
  }

  function sort(column, descending) {
    const table = document.querySelector("table.features");
    const value = (row) => {
      const cell = row.cells[column];
      return cell.dataset.v === undefined ? cell.textContent.trim().toLowerCase() : cell.dataset.v === "" ? null : Number(cell.dataset.v);
    };
    const order = rows().sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === null || b === null) return (a === null) - (b === null);
      return (a < b ? -1 : a > b ? 1 : 0) * (descending ? -1 : 1);
    });
    table.tBodies[0].append(...order);
    [...table.tHead.rows[0].cells].forEach((head, place) => {
      if (place === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  document.addEventListener("input", (event) => {
    if (event.target.matches("#filter, #status")) filter();
    if (event.target.id === "sorter" && event.target.value) sort(Number(event.target.value), event.target.value !== "0");
  });
  document.addEventListener("click", (event) => {
    const head = event.target.closest("table.features th");
    if (!head || !event.target.closest("button")) return;
    const first = head.classList.contains("number") && head.cellIndex ? "descending" : "ascending";
    const next = { ascending: "descending", descending: "ascending" }[head.getAttribute("aria-sort")] || first;
    sort(head.cellIndex, next === "descending");
  });

  // The value of a token: on hover, on a tap, and with the arrow keys within a focused text.
  function show(token) {
    document.querySelectorAll(".on").forEach((each) => each.classList.remove("on"));
    tip.hidden = !token;
    if (!token) return;
    if (token.title) {
      token.dataset.value = token.title;
      token.removeAttribute("title");
    }
    const value = token.dataset.value;
    const scale = Number(token.closest("[data-scale]")?.dataset.scale);
    tip.textContent = `${token.textContent}  ${value}` + (scale > 0 ? ` (${(value / scale).toFixed(2)} of scale)` : "");
    const box = token.getBoundingClientRect();
    place(box.left, box.top, box.bottom);
  }
  function place(left, top, bottom) {
    tip.style.left = `${Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${top > 34 ? top - tip.offsetHeight - 4 : bottom + 4}px`;
  }
  const token = (target) => (target instanceof Element ? target.closest("b[title], b[data-value]") : null);
  document.addEventListener("pointerover", (event) => show(token(event.target)));
  document.addEventListener("click", (event) => show(token(event.target)));
  document.addEventListener("pointermove", (event) => {
    const figure = event.target.closest?.(".histogram");
    if (!figure) return;
    const box = figure.querySelector("svg").getBoundingClientRect();
    const counts = figure.dataset.counts.split(" ").map(Number);
    const bin = Math.floor(((event.clientX - box.left) / box.width) * counts.length);
    if (!(bin in counts)) return show(null);
    const edge = (n) => ((figure.dataset.highest * n) / counts.length).toPrecision(3);
    tip.hidden = false;
    tip.textContent = `${edge(bin)} to ${edge(bin + 1)}: ${counts[bin].toLocaleString()} tokens`;
    place(event.clientX + 8, box.top, box.bottom);
  });
  document.addEventListener("scroll", () => show(null), true);
  document.addEventListener("focusout", () => show(null));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(null);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !event.target.matches("p[tabindex]")) return;
    const fired = [...event.target.querySelectorAll("b")];
    if (!fired.length) return;
    event.preventDefault();
    const now = fired.findIndex((each) => each.classList.contains("on"));
    const next = fired[now < 0 ? (step > 0 ? 0 : fired.length - 1) : (now + step + fired.length) % fired.length];
    show(next);
    next.classList.add("on");
  });

  // A link into something collapsed opens it.
  function reveal() {
    const target = find(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  // On paper, nothing can be opened.
  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details.group, details.hypothesis")) each.open = true;
  });
})();
