// The monitoring token: asked for when the server wants one, kept for as long as the tab is open.

import { byId, setText } from "./dom.js";

const KEY = "fasttalk-monitoring-token";

export class Token {
  #form = byId("token-form");
  #field = byId("token");

  /** @param onEntered called when somebody has entered one */
  constructor(onEntered) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#field.value.trim();
      // A header takes no other characters; sending them would look like a server that is gone.
      if (!/^[\x21-\x7e]+$/.test(text)) {
        setText(byId("token-error"), "A token has letters, digits and signs only, without spaces.");
        return;
      }
      sessionStorage.setItem(KEY, text);
      onEntered();
    });
  }

  /** The token, null where none is known. */
  get text() {
    return sessionStorage.getItem(KEY);
  }

  get isAsked() {
    return !this.#form.hidden;
  }

  /** Ask for one; says that it was wrong where one was sent. */
  ask() {
    setText(byId("token-error"), this.text === null ? "" : "The server does not take that token.");
    sessionStorage.removeItem(KEY);
    if (this.isAsked) {
      this.#field.select();
      return;
    }
    this.#form.hidden = false;
    this.#field.focus();
  }

  /** The server was content. */
  accepted() {
    if (!this.isAsked) return;
    this.#form.hidden = true;
    this.#field.value = "";
    byId("content").focus();
  }
}
