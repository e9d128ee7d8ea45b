import * as signal from './signal.js';

// A server that does not say which applications it has has one.
const unnamed = { path: 'offer', name: 'Call', about: 'Speak and show yourself; what happens is up to this server.', media: ['audio', 'video', 'data'] };

// applications returns those of the server, at least one. Each has
//   path, name, about  where its offers go, and what it is
//   media              of audio, video and data, what it makes use of
//   lines              how many pictures it may send at a time; one if missing
//   oneway             whether it hears and sees nothing
//   options            [{name, label, values}], which go with the offer; without
//                      values any text will do
//   messages           texts that it understands on the data channel
//   recordings         where the recording of a call is found afterwards, below it
//                      by the name that went with the offer as "recording"
export async function applications() {
  const found = await signal.list('apps');
  return Array.isArray(found) && found.length ? found : [unnamed];
}

// decoded returns a part of an address as it is meant, or as it is.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// wanted returns the application that the address of the page names, as in "#room"
// and "?app=room", by its path or its name, or the first one.
export function wanted(apps, { hash, search }) {
  const name = (decoded(hash.slice(1)) || new URLSearchParams(search).get('app') || '').toLowerCase();
  return apps.find((a) => [a.path, a.name].some((n) => n.toLowerCase() === name)) ?? apps[0];
}

// A Form has the fields of the options of one application.
export class Form {
  #fields = [];

  constructor(element) { this.element = element; }

  // show makes the fields; those that the address names have its values.
  show(app, search) {
    const given = new URLSearchParams(search);
    this.#fields = (app.options ?? []).map(({ name, label, values }) => {
      const field = document.createElement(values ? 'select' : 'input');
      field.id = `option-${name}`;
      field.name = name;
      field.className = 'before';
      if (values) field.append(...values.map((v) => new Option(v || 'none', v)));
      field.value = given.get(name) ?? values?.[0] ?? '';
      return { label, field };
    });
    this.element.replaceChildren(...this.#fields.flatMap(({ label, field }) => {
      const caption = document.createElement('label');
      caption.htmlFor = field.id;
      caption.textContent = label;
      return [caption, field];
    }));
  }

  values() { return Object.fromEntries(this.#fields.map(({ field }) => [field.name, field.value])); }
}
