// What this page asks its server, and the ways in which that can fail.

const TIMEOUT_MS = 5_000;

/** The server wants the monitoring token, or another one. */
export class TokenNeeded extends Error {}

/** The server does not keep what was asked for, or no longer. */
export class NotKept extends Error {}

/** No answer that can be used; the message says why. */
export class Unreachable extends Error {}

export class Server {
  /** @param token a function that gives the monitoring token, or null */
  constructor(token) {
    this.token = token;
  }

  /** The state of everything. Throws TokenNeeded, NotKept or Unreachable. */
  data() {
    return this.#get("data");
  }

  /** One session with its events. Throws as `data` does. */
  session(key) {
    return this.#get(`sessions/${encodeURIComponent(key)}`);
  }

  async #get(path) {
    const token = this.token();
    let response;
    try {
      response = await fetch(path, {
        cache: "no-store",
        headers: token === null ? {} : { Authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      const isLate = error.name === "TimeoutError";
      throw new Unreachable(isLate ? "it does not answer" : "it cannot be reached");
    }
    if (response.status === 401) throw new TokenNeeded();
    if (response.status === 404) throw new NotKept("it does not know this");
    if (!response.ok) throw new Unreachable(`it answers with status ${response.status}`);
    try {
      return await response.json();
    } catch {
      throw new Unreachable("its answer cannot be read");
    }
  }
}
