// A session's events along its time, a lane for each kind. A picture only: the table beside it says all.

import { element, reconcile, setText } from "./dom.js";
import { duration } from "./format.js";

const LANES = [
  ["onset", "Onsets", "--series-1"],
  ["transcription", "Texts", "--series-3"],
  ["rejection", "Rejected", "--series-2"],
  ["interrupt", "Interrupts", "--series-4"],
  ["error", "Errors", "--bad"],
];

/** Show `events` from the first that is kept to `end_s`, in seconds since the session began. */
export function showTimeline(place, events, end_s) {
  const lanes = LANES.filter(([kind]) => events.some((event) => event.kind === kind));
  place.hidden = lanes.length === 0;
  const start_s = events[0]?.at_s ?? 0;
  const length_s = Math.max(1, end_s - start_s);
  reconcile(place, [...lanes, ["axis"]], {
    keyOf: ([kind]) => kind,
    make: ([kind, name]) => (kind === "axis" ? newAxis() : newLane(name)),
    update(lane, [kind, , color]) {
      if (kind === "axis") {
        const [first, last] = lane.lastElementChild.children;
        setText(first, duration(start_s));
        setText(last, duration(start_s + length_s));
        return;
      }
      const marks = events.map((event, index) => ({ ...event, index })).filter((event) => event.kind === kind);
      reconcile(lane.lastElementChild, marks, {
        keyOf: ({ at_s, index }) => `${at_s} ${index}`,
        make: () => element("i"),
        update(mark, { at_s }) {
          mark.style.insetInlineStart = `${Math.min(100, ((at_s - start_s) / length_s) * 100)}%`;
          mark.style.backgroundColor = `var(${color})`;
        },
      });
    },
  });
}

const newLane = (name) =>
  element("div", { className: "lane" }, element("span", { textContent: name }), element("div", { className: "track" }));

const newAxis = () =>
  element(
    "div",
    { className: "lane axis" },
    element("span"),
    element("div", {}, element("small"), element("small")),
  );
