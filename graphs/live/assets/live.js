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

  // What waits for the token to be typed in.
  let waiting = null;

  tokenForm.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("saesage-token", tokenForm.elements.token.value.trim());
    tokenForm.elements.token.value = "";
    tokenForm.hidden = true;
    const form = waiting;
    waiting = null;
    if (form) form.requestSubmit();
  });

  async function send(path, content) {
    const response = await fetch(path, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "X-Saesage-Token": sessionStorage.getItem("saesage-token") || "",
      },
      body: JSON.stringify(content),
    });
    const answer = await response.json();
    return { ok: response.ok, status: response.status, answer };
  }

  // Which address a form is sent to, and what it says.
  const forms = {
    probe: (form) => ({
      run: live.dataset.run,
      feature: Number(form.elements.feature.value),
      text: form.elements.text.value,
    }),
  };

  function show(place, text, kind) {
    const line = document.createElement("p");
    line.className = `live-${kind}`;
    if (kind === "error") line.setAttribute("role", "alert");
    line.textContent = text;
    place.replaceChildren(line);
  }

  async function submit(form) {
    const name = form.dataset.form;
    const place = find(`[data-answer="${name}"]`);
    const buttons = form.querySelectorAll("button");
    buttons.forEach((button) => { button.disabled = true; });
    show(place, "…", "note");
    try {
      const { ok, status, answer } = await send(`/${name}`, forms[name](form));
      if (ok && answer.html) place.innerHTML = answer.html;
      else if (ok) show(place, answer.told, "note");
      else show(place, answer.error, "error");
      if (ok && answer.open) location.assign(answer.open);
      if (status === 401) {
        waiting = form;
        tokenForm.hidden = false;
        tokenForm.elements.token.focus();
      }
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
      show(place, "no answer: saesage may have ended; see the terminal.", "error");
    } finally {
      buttons.forEach((button) => { button.disabled = false; });
    }
  }

  live.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-form]");
    if (!form) return;
    event.preventDefault();
    submit(form);
  });

  // What the reader has unfolded stays so when the fragment comes anew.
  const unfolded = () => [...fragment.querySelectorAll("details")];

  async function renew() {
    const response = await fetch(live.dataset.source);
    if (!response.ok) return;
    const html = await response.text();
    const open = unfolded().map((each) => each.open);
    fragment.innerHTML = html;
    unfolded().forEach((each, at) => { if (at < open.length) each.open = open[at]; });
    document.dispatchEvent(new CustomEvent("saesage:renewed", { detail: fragment }));
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

  const events = new EventSource(`/events?since=${encodeURIComponent(live.dataset.mark)}`);
  events.addEventListener("change", (event) => {
    const { threads, status } = JSON.parse(event.data);
    find("[data-status]").textContent = status;
    const own = live.dataset.thread;
    if (threads === null || (own ? threads.includes(own) : threads.length)) wantRenewal();
  });
  events.addEventListener("open", () => { find("[data-link]").hidden = true; });
  events.addEventListener("error", () => { find("[data-link]").hidden = false; });
})();
