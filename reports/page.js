// The page is whole without this: it filters the claims, and copies.
const form = document.querySelector(".filter");
const find = document.querySelector(".find input");
const claims = [...document.querySelectorAll(".claim")];

function show() {
  const kinds = new Set([...form.querySelectorAll(":checked")].map(box => box.value));
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const claim of claims) {
    const said = claim.dataset.find + " " + claim.querySelector("summary").textContent.toLowerCase();
    claim.hidden = !kinds.has(claim.dataset.kind) || !words.every(word => said.includes(word));
    shown += !claim.hidden;
  }
  for (const section of document.querySelectorAll(".theme, .failures"))
    section.hidden = !section.querySelector(".claim:not([hidden])");
  form.querySelector(".shown").textContent = shown < claims.length ? `${shown} of ${claims.length} shown` : "";
}

if (form) {
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  document.addEventListener("keydown", event => {
    if (event.key === "/" && document.activeElement !== find && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      find.focus();
    } else if (event.key === "Escape" && document.activeElement === find) {
      find.value = "";
      show();
    }
  });
  show(); // a browser that goes back keeps what was ticked
}

for (const button of document.querySelectorAll(".copy")) {
  const code = button.closest(".code").querySelector("pre");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    } catch {
      getSelection().selectAllChildren(code); // no leave to copy: the rest is one key
    }
  });
}
