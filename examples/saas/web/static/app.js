// Comforts. Every page works without them.

// Ctrl+Enter (or Cmd+Enter) sends what is being written.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.target.closest?.(".composer")?.requestSubmit();
  }
});

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
});

// The sign-up form suggests an address from the name, until the address is typed.
const signup = document.querySelector("[data-signup]");
if (signup) {
  const { name, slug } = signup.elements;
  const suggest = (text) =>
    text.normalize("NFKD").toLowerCase().replace(/\p{M}/gu, "").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40);
  let own = slug.value !== "" && slug.value !== suggest(name.value);
  slug.addEventListener("input", () => { own = slug.value !== ""; });
  name.addEventListener("input", () => { if (!own) slug.value = suggest(name.value); });
}

// A reply shows word by word while it is written. When it is whole, or was cut off, the
// page is loaded again: it has what was stored.
document.querySelector(".composer[data-stream]")?.addEventListener("submit", async (event) => {
  const form = event.currentTarget;
  if (!form.text.value.trim() || !window.ReadableStream) return;
  event.preventDefault();
  event.stopPropagation();
  if (form.dataset.sent) return;
  form.dataset.sent = "yes";
  const written = write(form);
  let plans = false;
  let fault = "The connection was lost before the answer began. Send it again.";
  try {
    const response = await fetch(form.action, {
      method: "POST", headers: { Accept: "text/event-stream" }, body: new URLSearchParams(new FormData(form)),
    });
    if (response.ok && response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
      form.text.value = "";
      fault = "";
      await read(response.body, written.reply);
    } else if (response.headers.get("Content-Type")?.startsWith("text/plain")) {
      fault = await response.text();
      plans = response.status !== 422;
    } else {
      fault = "That did not work. Try again in a moment.";
    }
  } catch { /* the connection ended: what was stored shows below */ }
  if (!fault) {
    history.replaceState(null, "", "#latest");
    location.reload();
    return;
  }
  delete form.dataset.sent;
  written.remove();
  complain(form, fault, plans && form.dataset.plans);
});

// write adds the prompt to the thread, and an empty reply.
function write(form) {
  const turn = (who, kind) => {
    const item = document.createElement("li");
    item.className = `turn turn-${kind}`;
    const name = item.appendChild(document.createElement("p"));
    name.className = "turn-who";
    name.textContent = who;
    const bubble = item.appendChild(document.createElement("div"));
    bubble.className = `bubble bubble-${kind}`;
    item.text = bubble.appendChild(document.createElement("p"));
    document.querySelector(".thread").append(item);
    return item;
  };
  form.querySelector(".fault")?.remove();
  const prompt = turn("You", "user");
  prompt.text.textContent = form.text.value.trim();
  const reply = turn(form.model.value, "writing");
  reply.scrollIntoView({ block: "center" });
  return { reply, remove: () => { prompt.remove(); reply.remove(); } };
}

// read shows what is sent, event by event: text, never markup.
async function read(body, reply) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const events = (pending + part.value).split("\n\n");
    pending = events.pop();
    for (const text of events.filter((e) => e.startsWith("data: "))) {
      reply.text.textContent += JSON.parse(text.slice(6));
    }
    reply.scrollIntoView({ block: "end" });
  }
}

// complain shows a fault in the composer, and where plans are, if they help.
function complain(form, text, plans) {
  const fault = document.createElement("p");
  fault.className = "fault";
  fault.setAttribute("role", "alert");
  const words = fault.appendChild(document.createElement("span"));
  words.textContent = text.trim() + " ";
  if (plans) {
    const link = words.appendChild(document.createElement("a"));
    link.href = plans;
    link.textContent = "Usage and plans";
  }
  form.text.after(fault);
  form.text.focus();
}
