"use strict";
(() => {
  // The confusion matrix in words, where the mouse is.
  const readout = document.getElementById("readout");
  for (const field of document.querySelectorAll(".confusion td[title]")) {
    field.addEventListener("mouseenter", () => {
      readout.textContent = field.title;
      document.querySelector(".confusion td.at")?.classList.remove("at");
      field.classList.add("at");
    });
  }
  // A line moves over the spectrogram of what plays; only one plays at a time.
  const sounds = [...document.querySelectorAll(".mistakes audio")];
  for (const sound of sounds) {
    const head = sound.closest("figure").querySelector(".head");
    const follow = () => {
      head.style.left = `${(100 * sound.currentTime) / (sound.duration || 1)}%`;
      if (!sound.paused) requestAnimationFrame(follow);
    };
    sound.addEventListener("play", () => {
      for (const other of sounds) if (other !== sound) other.pause();
      follow();
    });
    sound.addEventListener("seeked", follow);
  }
})();
