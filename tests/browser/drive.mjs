// Drives JupyterLab and Voilà in Chromium as a person would; the first thing that fails ends it.
//
//     node drive.mjs LAB_URL VOILA_URL SCREENSHOTS NOTEBOOK …
//
// Every notebook is opened and all its cells are run; where it has sliders they are moved and the
// picture beside them must change; a click on a reconstruction must open the profile.
import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";

const { chromium } = createRequire(process.cwd() + "/")("playwright-core");
const [lab, voila, shots, ...notebooks] = process.argv.slice(2);
const CANVAS = ".jupyter-matplotlib-canvas-container canvas";
const SLIDER = ".widget-slider .noUi-handle";
const began = Date.now();
const say = (words) => console.log(`${((Date.now() - began) / 1000).toFixed(1)} s  ${words}`);

async function pictures(page) {
  // What every image and canvas of the page shows.
  return page.evaluate(() => [
    ...[...document.querySelectorAll(".jupyter-widgets img")].map((image) => image.src),
    ...[...document.querySelectorAll(".jupyter-matplotlib-canvas-container canvas")].map((one) =>
      one.toDataURL(),
    ),
  ]);
}

async function changes(page, words, act) {
  const before = JSON.stringify(await pictures(page));
  const start = Date.now();
  await act();
  while (JSON.stringify(await pictures(page)) === before) {
    if (Date.now() - start > 20000) throw new Error(`${words}: no picture changed in 20 s`);
    await page.waitForTimeout(50);
  }
  say(`${words}: a picture changed after ${Date.now() - start} ms`);
}

async function moveSliders(page, name) {
  const sliders = page.locator(SLIDER);
  const number = await sliders.count();
  for (let index = 0; index < number; index++) {
    const one = sliders.nth(index);
    await one.scrollIntoViewIfNeeded();
    await one.focus();
    // At its end a slider stays: then the other way.
    const value = await one.getAttribute("aria-valuenow");
    const [most, least] = [await one.getAttribute("aria-valuemax"), await one.getAttribute("aria-valuemin")];
    if (most === least) continue;
    const key = value === most ? "ArrowLeft" : "ArrowRight";
    await changes(page, `${name}, slider ${index + 1} of ${number}`, () => page.keyboard.press(key));
  }
  return number;
}

async function click(page, name) {
  const canvas = page.locator(CANVAS).last();
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  for (const [words, x, y] of [["a profile", 0.2, 0.45], ["a section", 0.55, 0.3]]) {
    await changes(page, `${name}, a click for ${words}`, () =>
      page.mouse.click(box.x + x * box.width, box.y + y * box.height),
    );
  }
}

async function runNotebook(browser, name) {
  const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  page.on("console", (message) => {
    if (message.type() === "error") say(`${name}: ${message.text().slice(0, 300)}`);
  });
  page.on("pageerror", (error) => say(`${name}: ${error.message.slice(0, 200)}`));
  await page.goto(`${lab}/doc/tree/${name}?reset`, { waitUntil: "domcontentloaded" });
  await page.waitForSelector(".jp-Notebook .jp-CodeCell", { timeout: 60000 });
  const idle = () =>
    page.waitForFunction(
      () =>
        /\| Idle/.test(document.querySelector("#jp-main-statusbar")?.innerText ?? "") &&
        ![...document.querySelectorAll(".jp-InputPrompt")].some((one) => one.innerText.includes("*")),
      null,
      { timeout: 180000, polling: 250 },
    );
  await idle();
  await page.click('.lm-MenuBar-itemLabel:text-is("Run")');
  await page.click('.lm-Menu-itemLabel:text-is("Run All Cells")');
  await page.waitForTimeout(1500);
  await idle();
  const errors = page.locator('[data-mime-type="application/vnd.jupyter.error"]');
  if (await errors.count()) throw new Error(`${name}: ${await errors.first().innerText()}`);
  const sliders = await moveSliders(page, name);
  if (await page.locator(CANVAS).count()) await click(page, name);
  await page.screenshot({ path: `${shots}/${name.replace(/.*\//, "").replace(".ipynb", "")}.png` });
  say(`${name}: all cells ran, ${sliders} slider(s)`);
  await page.close();
  return sliders;
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
});
mkdirSync(shots, { recursive: true });
try {
  let sliders = 0;
  for (const name of notebooks) sliders += await runNotebook(browser, name);
  if (sliders < 4) throw new Error(`${sliders} sliders in all notebooks, at least 4 are expected`);
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  await page.goto(voila, { waitUntil: "domcontentloaded" });
  await page.waitForSelector(CANVAS, { timeout: 120000 });
  await page.waitForTimeout(2000);
  await moveSliders(page, "voila");
  await click(page, "voila");
  await page.screenshot({ path: `${shots}/voila.png` });
  say("voila: the reconstruction is served");
} catch (error) {
  for (const context of browser.contexts())
    for (const page of context.pages()) await page.screenshot({ path: `${shots}/failed.png` });
  throw error;
} finally {
  await browser.close();
}
