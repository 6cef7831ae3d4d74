// Which session is open stands in the page's address, so that it can be linked to and survives a reload.

const PREFIX = "#session/";

/** Where the session of that key is shown. */
export const addressOf = (key) => PREFIX + encodeURIComponent(key);

/** The key of the session that the address names, or null. */
export function keyInAddress() {
  if (!location.hash.startsWith(PREFIX)) return null;
  try {
    return decodeURIComponent(location.hash.slice(PREFIX.length)) || null;
  } catch {
    return null;
  }
}

/** Take the session out of the address, without a step in the tab's history. */
export function clearAddress() {
  history.replaceState(null, "", location.pathname + location.search);
}
