// Opens what somebody has chosen to be heard. What fails is thrown as Told, in words for people.

import { Told, UNREACHABLE, explainMicrophone } from "./refusals.js";
import { FileSource, Microphone } from "./sources.js";

export async function openMicrophone(context, options) {
  try {
    return await Microphone.open(context, options);
  } catch (error) {
    throw new Told(explainMicrophone(error));
  }
}

export async function openFile(context, file) {
  try {
    return await FileSource.open(context, await file.arrayBuffer(), file.name);
  } catch {
    throw new Told(`${file.name} cannot be read as audio. WAV, FLAC, MP3, Ogg and M4A mostly can.`);
  }
}

export async function openSample(context) {
  return FileSource.open(context, await fetchFile("sample.flac"), "sample.flac");
}

/** A file of this page as an ArrayBuffer. */
export async function fetchFile(name) {
  let answer;
  try {
    answer = await fetch(name);
    if (answer.ok) return await answer.arrayBuffer();
  } catch {
    throw new Told(UNREACHABLE);
  }
  throw new Told(`The server does not give ${name} out (${answer.status}). Try again in a moment.`);
}

/** Files dropped anywhere on the page go to `take`; `place` shows where they are expected. */
export function onDrop(place, take) {
  addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("dropping");
  });
  addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) place.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}
