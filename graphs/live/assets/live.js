// The live page: news without reloading, texts tried out, forms sent with the token.
"use strict";

(() => {
  const live = document.querySelector(".live");
  if (!live) return;

  const find = (selector) => live.querySelector(selector);
  const fragment = find("[data-fragment]");
  const tokenForm = find("[data-token-form]");

  // The printed address carries the token behind "#", which browsers never send to a server.
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("saesage-token", given);
    history.replaceState(null, "", location.pathname + location.search);
  }

  // The form that waits for the token to be typed in.
  let waiting = null;

  tokenForm.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("saesage-token", tokenForm.elements.token.value.trim());
    tokenForm.elements.token.value = "";
    tokenForm.hidden = true;
    if (waiting) submit(waiting.form, waiting.action);
    waiting = null;
  });

  async function send(path, content) {
    const response = await fetch(path, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "X-Saesage-Token": sessionStorage.getItem("saesage-token"),
      },
      body: JSON.stringify(content),
    });
    const answer = await response.json();
    return { ok: response.ok, status: response.status, answer };
  }

  // What each form says, and where it is sent to; or, as a string, what is still missing.
  const forms = {
    probe: (form) => ["/probe", {
      // A new run may have begun since the page was loaded.
      run: fragment.querySelector("[data-run]")?.dataset.run ?? live.dataset.run,
      feature: Number(form.elements.feature.value),
      text: form.elements.text.value,
    }],
    steer: (form, action) => {
      const { statement, reworded, rewording, drop, tested, text, predicted } = form.elements;
      const review = action !== "fork";
      if (text.value && !tested.value) return "choose the hypothesis that the text tests.";
      if (review && rewording.value.trim() && !reworded.value) return "choose the hypothesis to reword.";
      const edits = {
        add: statement.value.trim() ? [statement.value.trim()] : [],
        reword: review && reworded.value ? [[reworded.value, rewording.value.trim()]] : [],
        drop: [...drop.selectedOptions].map((option) => option.value),
        experiments: tested.value
          ? [[tested.value, text.value, predicted.value]]
          : [],
      };
      const thread = live.dataset.thread;
      if (review) return ["/review", { thread, verdict: action, edits }];
      const { at, setting, name } = form.elements;
      return ["/fork", {
        thread,
        edits,
        at: at.value || null,
        settings: setting.value.trim() ? [setting.value.trim()] : [],
        name: name.value.trim() || null,
      }];
    },
  };

  // What the forms choose from, and whether the feature waits for an answer.
  async function offer() {
    const steer = find("[data-steer]");
    if (!steer) return;
    const response = await fetch(`/choices/${live.dataset.thread}`);
    if (!response.ok) return;
    const choices = await response.json();
    const waits = choices.status === "waiting";
    steer.querySelectorAll("[data-when]").forEach((each) => {
      each.hidden = each.dataset.when !== (waits ? "review" : "fork");
      // The Enter key would press the first button of a form though it cannot be seen.
      if (each.tagName === "BUTTON") each.disabled = each.hidden;
    });
    steer.querySelectorAll("[data-choices]").forEach((select) => {
      const chosen = new Set([...select.selectedOptions].map((option) => option.value));
      select.querySelectorAll("[data-choice]").forEach((option) => option.remove());
      for (const { value, label } of choices[select.dataset.choices]) {
        const option = new Option(label, value);
        option.dataset.choice = "";
        option.selected = chosen.has(value);
        select.add(option);
      }
    });
  }

  function show(place, text, kind) {
    const line = document.createElement("p");
    line.className = `live-${kind}`;
    if (kind === "error") line.setAttribute("role", "alert");
    line.textContent = text;
    place.replaceChildren(line);
  }

  function askToken(form, action, place) {
    waiting = { form, action };
    show(place, "the token is needed; it was printed in the terminal.", "error");
    tokenForm.hidden = false;
    tokenForm.elements.token.focus();
  }

  async function submit(form, action) {
    const name = form.dataset.form;
    const place = find(`[data-answer="${name}"]`);
    if (!sessionStorage.getItem("saesage-token")) {
      askToken(form, action, place);
      return;
    }
    const request = forms[name](form, action);
    if (typeof request === "string") {
      show(place, request, "error");
      return;
    }
    const buttons = form.querySelectorAll("button");
    buttons.forEach((button) => { button.disabled = true; });
    show(place, "…", "note");
    try {
      const { ok, status, answer } = await send(...request);
      if (ok && answer.html) place.innerHTML = answer.html;
      else if (ok) show(place, answer.told, "note");
      else show(place, answer.error, "error");
      if (ok && answer.open) location.assign(answer.open);
      if (status === 401) askToken(form, action, place);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
      show(place, "no answer: saesage may have ended; see the terminal.", "error");
    } finally {
      buttons.forEach((button) => { button.disabled = button.hidden; });
    }
  }

  live.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-form]");
    if (!form) return;
    event.preventDefault();
    submit(form, event.submitter?.value);
  });

  // What the reader has unfolded, filtered and sorted stays so when the fragment comes anew.
  function kept() {
    const unfolded = [...fragment.querySelectorAll("details")].map((each) => each.open);
    const typed = [...fragment.querySelectorAll("input[id], select[id]")]
      .filter((each) => each.value)
      .map(({ id, value }) => [id, value]);
    const sorted = fragment.querySelector("th[aria-sort]");
    const focused = fragment.contains(document.activeElement) ? document.activeElement.id : "";
    return { unfolded, typed, focused, column: sorted?.cellIndex, order: sorted?.ariaSort };
  }

  function restore({ unfolded, typed, focused, column, order }) {
    fragment.querySelectorAll("details").forEach((each, at) => {
      if (at < unfolded.length) each.open = unfolded[at];
    });
    for (const [id, value] of typed) {
      const field = document.getElementById(id);
      if (!field || field.value === value) continue;
      field.value = value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    const head = fragment.querySelectorAll("thead th")[column];
    for (let tries = 0; head && head.ariaSort !== order && tries < 2; tries += 1) {
      head.querySelector("button")?.click();
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  // Served, each feature has a page of its own: links to anchors of other pages are led there.
  function lead() {
    const threads = [...fragment.querySelectorAll("tr[data-thread]")].map((row) => [
      row.querySelector("a").hash.slice(1),
      row.dataset.thread,
    ]);
    for (const link of fragment.querySelectorAll('a[href^="#"]')) {
      const name = link.getAttribute("href").slice(1);
      if (name === "features" && live.dataset.thread) link.setAttribute("href", "/");
      if (document.getElementById(name)) continue;
      const [, thread] = threads
        .filter(([anchor]) => name === anchor || name.startsWith(`${anchor}-`))
        .reduce((best, each) => (each[0].length > best[0].length ? each : best), ["", ""]);
      if (thread) link.setAttribute("href", `/feature/${thread}#${name}`);
    }
  }

  async function renew() {
    const response = await fetch(live.dataset.source);
    if (!response.ok) return;
    const html = await response.text();
    const before = kept();
    fragment.innerHTML = html;
    lead();
    restore(before);
    await offer();
  }

  // However many changes come, one renewal at a time, and one more after the last of them.
  let renewing = false;
  let again = false;
  async function wantRenewal() {
    again = true;
    if (renewing) return;
    renewing = true;
    try {
      while (again) {
        again = false;
        await renew();
      }
    } finally {
      renewing = false;
    }
  }

  lead();
  offer();
  const events = new EventSource(`/events?since=${encodeURIComponent(live.dataset.mark)}`);
  events.addEventListener("change", (event) => {
    const { threads, status } = JSON.parse(event.data);
    find("[data-news]").textContent = status;
    const own = live.dataset.thread;
    if (threads === null || (own ? threads.includes(own) : threads.length)) wantRenewal();
  });
  const link = find("[data-link]");
  function linked(state, words) {
    link.dataset.link = state;
    link.textContent = words;
  }
  events.addEventListener("open", () => linked("up", "live"));
  events.addEventListener("error", () => linked("down", "not connected, trying again"));
})();
