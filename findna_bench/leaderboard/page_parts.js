const fill = (e, text, attributes) => { if (text !== undefined && text !== null) e.textContent = text; for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v); return e; };
const make = (tag, text, attributes) => fill(document.createElement(tag), text, attributes);
const shape = (tag, attributes, text) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), text, attributes);
const byId = id => document.getElementById(id);
function scrollBox(child, label) {
  const box = make("div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": label });
  box.append(child); return box;
}
// A name may break after an underscore, colon or slash.
function breakable(e, text) { for (const part of text.split(/(?<=[_:/])/)) e.append(part, make("wbr")); return e; }
function grid(g, label) {
  const t = make("table"), head = make("thead"), body = make("tbody"), tr = make("tr");
  const of = i => i < g.words || g.header[i] === "flags" ? { class: "words" } : {};
  g.header.forEach((name, i) => tr.append(breakable(make("th", null, { scope: "col", ...of(i) }), name)));
  for (const row of g.rows) { const line = make("tr"); row.forEach((cell, i) => line.append(make("td", cell, of(i)))); body.append(line); }
  head.append(tr); t.append(head, body); return scrollBox(t, label);
}
