// Why there is no connection, in words. A browser hides the answer to a refused WebSocket, so the
// same question is put to /health, which answers by the same rules.

import { TOO_SLOW, serverUrl } from "./session.js";

/** An error whose message is for people. */
export class Told extends Error {}

export const UNREACHABLE = "The server cannot be reached. Is it running, and is the network there?";

/** Neither the microphone nor the audio thread is to be had there. */
export const INSECURE =
  "Browsers let a page work with audio only over HTTPS or on localhost. Open this page that way.";

/** {kind, text}; kind "credential" where one is missing or wrong, else "server". */
export async function explainRefusal(credential) {
  let answer;
  try {
    answer = await fetch(serverUrl("health"), {
      headers: credential ? { Authorization: `Bearer ${credential}` } : {},
      cache: "no-store",
    });
  } catch {
    return server(UNREACHABLE);
  }
  if (answer.status === 401) {
    return {
      kind: "credential",
      text: credential
        ? "The server does not know this key or token, or it has expired."
        : "This server needs a key or a token.",
    };
  }
  if (answer.status === 429) {
    const seconds = Number(answer.headers.get("Retry-After")) || 10;
    return server(`Too many attempts in a short time. Try again in ${seconds} s.`);
  }
  if (answer.status === 403) return server(ORIGIN);
  let health;
  try {
    health = await answer.json();
  } catch {
    return server(`The server answered ${answer.status}. Try again in a moment.`);
  }
  if (health.capacity?.draining) return server("The server is shutting down. Try again in a moment.");
  if (answer.status === 503) {
    const reasons = (health.reasons ?? []).join("; ") || "no reason given";
    return server(`The server is not ready: ${reasons}. Try again in a moment.`);
  }
  const { active_connections: active, max_connections: max, headroom_streams: headroom } =
    health.capacity ?? {};
  if (active >= max || headroom === 0) {
    return server(`The server is full (${active} of ${max} connections). Try again in a moment.`);
  }
  return server(
    `The server refused the connection. Perhaps there were too many in a short time: wait a minute. ${ORIGIN}`,
  );
}

const ORIGIN = "If it goes on, the server's ALLOWED_ORIGINS may not list this page's address.";

function server(text) {
  return { kind: "server", text };
}

/** Why an open connection ended. `last` is the text of the server's last error, if it sent one. */
export function explainLoss({ code, reason }, last) {
  if (reason === TOO_SLOW) return "The network is too slow for live audio, so the session was ended.";
  if (code === 1001) return "The server is shutting down; what it had heard is above.";
  if (last) return last;
  if (code === 1008) return `The server ended the connection: ${reason || "a limit was reached"}.`;
  if (code === 1009) return "The server refused a message that was too large.";
  if (code === 1011) return "The server had an internal fault and ended the connection.";
  if (code === 1013) return "The server has too much to do and ended the connection.";
  return "The connection to the server was lost.";
}

/** Why the server ended a session, null where that was asked for. */
export function explainEnd(reason) {
  if (reason === "draining") return explainLoss({ code: 1001 }, null);
  if (reason === "session_too_long") return "The session had lasted as long as the server allows.";
  return null;
}

/** Why there is no microphone. `error` is what getUserMedia rejected with. */
export function explainMicrophone(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "The microphone is not allowed. Allow it for this page in the browser's address bar, or choose a file.";
    case "NotFoundError":
      return "There is no microphone. Connect one, or choose a file.";
    case "NotReadableError":
    case "AbortError":
      return "The microphone is in use elsewhere or does not answer. Close the other program, or choose a file.";
    default:
      return `The microphone cannot be opened (${error.name}). Choose a file instead.`;
  }
}
