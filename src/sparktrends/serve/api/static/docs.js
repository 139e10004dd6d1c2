"use strict";
// Renders openapi.json and lets a person try each call. Everything is set as text: nothing here is read as markup.

const make = (name, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
};

const field = (parameter) => {
  const schema = parameter.schema || {};
  const choices = schema.enum || (schema.const !== undefined ? [schema.const] : null);
  if (choices) {
    const options = choices.map((choice) => make("option", { value: choice, textContent: choice }));
    const blank = make("option", { value: "", textContent: schema.default ? `(${schema.default})` : "" });
    return make("select", { name: parameter.name }, blank, ...options);
  }
  const placeholder = schema.default === undefined ? "" : String(schema.default);
  return make("input", { name: parameter.name, placeholder, required: parameter.required });
};

const address = (base, path, parameters, form) => {
  const search = new URLSearchParams();
  let filled = path;
  for (const parameter of parameters) {
    const value = form.elements.namedItem(parameter.name).value;
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (parameter.in === "query" && value !== "") search.set(parameter.name, value);
  }
  const text = search.toString();
  return base + filled + (text ? `?${text}` : "");
};

const shown = async (response) => {
  const text = await response.text();
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

const keyed = () => {
  const key = document.getElementById("key").value;
  return key ? { Authorization: `Bearer ${key}` } : {};
};

const said = (status, response, url) => {
  status.textContent = `${response.status} ${response.statusText}  ${url}`;
  status.className = `status ${response.ok ? "good" : "bad"}`;
};

// By hand and not by an EventSource, which can send no key. The newest event stands on top.
const follow = async (form, url, output, status) => {
  form.stop?.abort();
  form.stop = new AbortController();
  output.textContent = "";
  const response = await fetch(url, { headers: keyed(), signal: form.stop.signal });
  said(status, response, url);
  if (!response.ok) {
    output.textContent = await shown(response);
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    output.textContent = `${[...events.reverse(), output.textContent].join("\n\n")}`.slice(0, 50000);
  }
  status.textContent = "The stream has ended.";
};

const send = async (form, method, url, output, status) => {
  const headers = keyed();
  const body = form.elements.namedItem("body")?.value;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(url, { method: method.toUpperCase(), headers, body: body || undefined });
  said(status, response, url);
  output.textContent = await shown(response);
};

const operation = (base, path, method, about) => {
  const parameters = (about.parameters || []).filter((parameter) => parameter.in !== "header");
  const status = make("p", { className: "status", role: "status" });
  const output = make("pre", { hidden: true });
  const form = make("form");
  if (about.description) form.append(make("p", { textContent: about.description }));
  for (const parameter of parameters) {
    const label = make("label", { textContent: parameter.name });
    if (parameter.required) label.append(make("span", { className: "need", textContent: " *" }));
    const input = field(parameter);
    input.id = `${method}${path}${parameter.name}`;
    label.htmlFor = input.id;
    form.append(label, make("div", {}, input, make("small", { textContent: parameter.description || "" })));
  }
  if (about.requestBody) {
    const body = make("textarea", { name: "body", id: `${method}${path} body`, rows: 4, value: '{"hours": 1, "rule": "price_shock"}' });
    form.append(make("label", { textContent: "body", htmlFor: body.id }), body);
  }
  const buttons = make("p", {}, make("button", { textContent: "Try it" }));
  if (path === "/stream") {
    const stop = make("button", { type: "button", textContent: "Stop" });
    stop.addEventListener("click", () => form.stop?.abort());
    buttons.append(" ", stop);
  }
  form.append(buttons);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    output.hidden = false;
    const url = address(base, path, parameters, form);
    const asked = path === "/stream" ? follow(form, url, output, status) : send(form, method, url, output, status);
    asked.catch((error) => { status.textContent = error.name === "AbortError" ? "Stopped." : String(error); });
  });
  const name = make("b", { className: method, textContent: method.toUpperCase() });
  const summary = make("summary", {}, name, make("code", { textContent: path }), about.summary || "");
  return make("details", {}, summary, form, status, output);
};

const render = (api) => {
  document.getElementById("intro").textContent = api.info.description;
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, about] of Object.entries(methods)) {
      const tag = about.tags[0];
      if (!groups.has(tag)) groups.set(tag, make("section", {}, make("h2", { textContent: tag })));
      groups.get(tag).append(operation(api.servers[0].url, path, method, about));
    }
  }
  document.getElementById("operations").replaceChildren(...groups.values());
};

fetch("openapi.json")
  .then((response) => response.json())
  .then(render)
  .catch((error) => { document.getElementById("operations").textContent = `The description did not load: ${error}`; });
