// The frame around the vendored interface: language, key, list of operations, idempotency keys.

import { speakChinese } from "/console/labels.js";

const KEY = "huitou.key"; // in sessionStorage alone: gone with the tab, never in an address
const LANGUAGE = "huitou.language";
const KEY_HEADER = "Idempotency-Key";
const SHOWN_KEY = "<API key>"; // what commands to copy show in its place

const language = localStorage.getItem(LANGUAGE) === "en" ? "en" : "zh-CN";
const id = (name) => document.getElementById(name);
const element = (tag, className, words) =>
  Object.assign(document.createElement(tag), { className: className ?? "", textContent: words ?? "" });

let facts;
let ui;
const automatic = new Map(); // by operation: the Idempotency-Key that we filled in

const words = (key, values = {}) =>
  (facts.texts[key]?.[language] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

start().catch((error) => notify(facts ? words("unreachable") : String(error), "error"));

async function start() {
  document.documentElement.lang = language;
  const [found, description] = await Promise.all([
    fetchJson("/console/facts.json"),
    fetchJson(`/openapi.json?lang=${language}`),
  ]);
  facts = found;
  fillTexts(description);
  listOperations(description);
  showInterface(description);
  bind();
  watchHealth();
  const key = sessionStorage.getItem(KEY);
  if (key) await connect(key);
}

async function fetchJson(path) {
  const answer = await fetch(path, { cache: "no-cache" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function fillTexts(description) {
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = words(one.dataset.text);
  for (const one of document.querySelectorAll("[data-placeholder]")) one.placeholder = words(one.dataset.placeholder);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", words(one.dataset.label));
  document.title = words("title");
  id("title").textContent = words("title");
  id("mode").textContent = words(`mode_${facts.mode}`);
  id("mode").classList.add(facts.mode);
  id("mode").hidden = false;
  id("language").textContent = language === "en" ? "中文" : "English";
  id("document").href = `/openapi.json?lang=${language}`;
  const missing = Object.entries(description.info["x-parts"]).filter(([, state]) => state !== "current");
  if (missing.length) notify(words("away", { services: missing.map(([name]) => name).join(", ") }), "warning");
}

function notify(message, kind) {
  id("notice").textContent = message;
  id("notice").className = `notice ${kind}`;
  id("notice").hidden = !message;
}

// The key.

function bind() {
  id("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    connect(id("key").value.trim());
  });
  id("forget").addEventListener("click", forget);
  id("caller-toggle").addEventListener("click", () => {
    id("scopes").hidden = !id("scopes").hidden;
    id("caller-toggle").setAttribute("aria-expanded", String(!id("scopes").hidden));
  });
  id("language").addEventListener("click", () => {
    localStorage.setItem(LANGUAGE, language === "en" ? "zh-CN" : "en");
    location.reload();
  });
  id("filter").addEventListener("input", filterOperations);
}

async function connect(key) {
  if (!key) return;
  let answer;
  try {
    answer = await fetch("/v1/caller", {
      headers: { Authorization: `Bearer ${key}`, "Accept-Language": language },
    });
  } catch {
    notify(words("unreachable"), "error");
    return;
  }
  const body = await answer.json();
  if (!answer.ok) {
    forget();
    notify(answer.status === 401 ? words("refused") : `${body.title}: ${body.detail}`, "error");
    return;
  }
  sessionStorage.setItem(KEY, key);
  notify("", "");
  showCaller(body);
}

function showCaller(caller) {
  id("key").value = "";
  id("key-form").hidden = true;
  id("caller").hidden = false;
  const kind = caller.manager ? words("manager") : words("scope_count", { count: caller.scopes.length });
  id("caller-toggle").replaceChildren(
    element("b", "", caller.name), element("code", "", caller.key_id), element("span", "", kind),
  );
  id("scopes-intro").textContent = words("scopes_intro");
  const all = Object.entries(facts.scopes).map(([scope, name]) => {
    const line = element("li", caller.scopes.includes(scope) ? "has" : "lacks");
    line.append(element("code", "", scope), element("span", "", name[language]));
    return line;
  });
  id("scope-list").replaceChildren(...all);
  markAllowed(caller.scopes);
}

function forget() {
  sessionStorage.removeItem(KEY);
  id("caller").hidden = true;
  id("scopes").hidden = true;
  id("key-form").hidden = false;
  markAllowed(null);
}

// The list of operations.

function listOperations(description) {
  const groups = new Map(description.tags.map((tag) => [tag.name, []]));
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      groups.get(operation.tags[0]).push({ path, method, ...operation });
    }
  }
  for (const [tag, operations] of groups) {
    if (!operations.length) continue;
    const group = element("div", "group");
    group.append(element("h2", "", tag), ...operations.map((one) => operationLink(tag, one)));
    id("operations").append(group);
  }
}

function operationLink(tag, operation) {
  const link = element("a", "operation");
  link.href = `#${operation.operationId}`;
  link.dataset.scope = operation["x-scope"] ?? "";
  link.dataset.words = `${operation.summary} ${operation.path} ${operation.operationId}`.toLowerCase();
  link.append(
    element("i", `method ${operation.method}`, operation.method === "delete" ? "DEL" : operation.method.toUpperCase()),
    element("span", "", operation.summary),
  );
  link.addEventListener("click", (event) => {
    event.preventDefault();
    open(tag, operation.operationId);
  });
  return link;
}

function open(tag, operationId) {
  ui.layoutActions.show(["operations-tag", tag], true);
  ui.layoutActions.show(["operations", tag, operationId], true);
  requestAnimationFrame(() => {
    const block = document.querySelector(`.opblock[id$="-${operationId}"]`);
    block?.scrollIntoView({ block: "start", behavior: "smooth" });
  });
}

function filterOperations() {
  const wanted = id("filter").value.trim().toLowerCase();
  for (const link of document.querySelectorAll(".operation")) link.hidden = !link.dataset.words.includes(wanted);
  for (const group of document.querySelectorAll(".group")) {
    group.hidden = group.querySelector(".operation:not([hidden])") === null;
  }
}

function markAllowed(scopes) {
  for (const link of document.querySelectorAll(".operation")) {
    const allowed = scopes === null || link.dataset.scope === "" || scopes.includes(link.dataset.scope);
    link.classList.toggle("forbidden", !allowed);
    link.title = allowed ? "" : words("lacking", { scope: link.dataset.scope });
  }
}

// The vendored interface.

function showInterface(description) {
  if (language === "zh-CN") speakChinese(id("console"));
  ui = window.SwaggerUIBundle({
    spec: description,
    dom_id: "#console",
    layout: "BaseLayout",
    presets: [window.SwaggerUIBundle.presets.apis],
    plugins: [idempotencyKeys],
    docExpansion: "list",
    defaultModelsExpandDepth: -1,
    defaultModelRendering: "example",
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    persistAuthorization: false,
    // The key is put in on the way out, and commands to copy show a word in its place.
    showMutatedRequest: false,
    requestInterceptor: authorize,
    onComplete: () => ui.preauthorizeApiKey("api_key", SHOWN_KEY),
  });
}

function authorize(request) {
  const key = sessionStorage.getItem(KEY);
  delete request.headers.Authorization;
  if (key && new URL(request.url, location.href).origin === location.origin) {
    request.headers.Authorization = `Bearer ${key}`;
  }
  request.headers["Accept-Language"] = language;
  return request;
}

// Fills in a random Idempotency-Key for each try. One that was typed in stays as it is.
function idempotencyKeys(system) {
  const fill = ([path, method]) => {
    const fresh = crypto.randomUUID();
    automatic.set(`${method} ${path}`, fresh);
    system.getSystem().specActions.changeParam([path, method], KEY_HEADER, "header", fresh, false);
  };
  const current = ([path, method]) =>
    system.getSystem().specSelectors.parameterValues([path, method], false).get(`header.${KEY_HEADER}`);
  return {
    statePlugins: {
      spec: {
        wrapActions: {
          validateParams: (original) => (pathMethod, ...more) => {
            if (takesKey(system, pathMethod) && !current(pathMethod)) fill(pathMethod);
            return original(pathMethod, ...more);
          },
          setResponse: (original) => (path, method, response) => {
            const done = original(path, method, response);
            const used = automatic.get(`${method} ${path}`);
            if (used !== undefined && current([path, method]) === used) fill([path, method]);
            return done;
          },
        },
      },
      layout: {
        wrapActions: {
          show: (original) => (thing, shown) => {
            const done = original(thing, shown);
            if (shown && thing[0] === "operations") fillFor(system, thing[2], fill, current);
            return done;
          },
        },
      },
    },
  };
}

function fillFor(system, operationId, fill, current) {
  for (const [path, methods] of Object.entries(system.getSystem().specSelectors.specJson().get("paths").toJS())) {
    for (const [method, operation] of Object.entries(methods)) {
      const place = [path, method];
      if (operation.operationId === operationId && takesKey(system, place) && !current(place)) fill(place);
    }
  }
}

function takesKey(system, [path, method]) {
  const own = system.getSystem().specSelectors.specJson().getIn(["paths", path, method, "parameters"]);
  return own?.some((one) => String(one.get("$ref") ?? "").includes("/IdempotencyKey")) ?? false;
}

// Health, as the gateway sees it.

async function watchHealth() {
  try {
    const answer = await fetch("/readyz");
    id("health").className = `dot ${answer.ok ? "good" : "bad"}`;
  } catch {
    id("health").className = "dot bad";
  }
  setTimeout(watchHealth, 10_000);
}
