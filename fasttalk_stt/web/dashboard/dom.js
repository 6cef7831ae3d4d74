// Small steps on the page's tree. Text only: nothing in here, or in its callers, makes HTML of data.

export const byId = (id) => document.getElementById(id);

/** Make an element; `properties` are its DOM properties, `children` elements or text. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Write a text only where it differs, so that selections and readers are not disturbed. */
export function setText(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Show `text` in a notice, or hide the notice where there is none. */
export function setNotice(node, text) {
  setText(node, text ?? "");
  node.hidden = !text;
}

/**
 * Make a parent's children those of `items`, in their order: known ones are kept and updated, others
 * made and removed. The child that has the focus never moves, since a moved element loses it.
 *
 * @param keyOf gives an item's key, unique among them
 * @param make gives a new element for an item, empty of what `update` fills in
 */
export function reconcile(parent, items, { keyOf, make, update }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const key = String(keyOf(item));
    let child = known.get(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    update(child, item);
    return child;
  });
  const kept = new Set(wanted);
  for (const child of known.values()) if (!kept.has(child)) child.remove();
  const focused = wanted.findIndex((child) => child.contains(document.activeElement));
  if (focused < 0) {
    arrange(parent, wanted, parent.firstElementChild);
  } else {
    arrange(parent, wanted.slice(0, focused), parent.firstElementChild);
    arrange(parent, wanted.slice(focused + 1), wanted[focused].nextElementSibling);
  }
}

function arrange(parent, wanted, cursor) {
  for (const child of wanted) {
    if (child === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(child, cursor);
  }
}

/** Fill a `dl` with rows of [name, text, hint?]; a row whose text is null is left out. */
export function setFacts(list, rows) {
  reconcile(list, rows.filter(([, text]) => text !== null), {
    keyOf: ([name]) => name,
    make: ([name]) => element("div", {}, element("dt", { textContent: name }), element("dd")),
    update(row, [, text, hint]) {
      const value = row.lastElementChild;
      setText(value, text);
      value.title = hint ?? "";
    },
  });
}
