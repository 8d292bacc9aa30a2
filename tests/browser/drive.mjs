// Drives JupyterLab and Voilà in Chromium as a person would; the first thing that fails ends it.
//
//     node drive.mjs LAB_URL VOILA_URL SCREENSHOTS RUN_FOLDER NOTEBOOK …
//
// Every notebook is opened and all its cells are run; where it has sliders they are moved and the
// picture beside them must change; a click on a reconstruction must open the profile, a button must
// make a figure, and a run that goes on must be seen to. Without VOILA_URL the notebooks are all.
import { createRequire } from "node:module";
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";

const { chromium } = createRequire(process.cwd() + "/")("playwright-core");
const [lab, voila, shots, run, ...notebooks] = process.argv.slice(2);
const PATIENCE = Number(process.env.PATIENCE ?? 20000); // ms until a picture must have changed
const CANVAS = ".jupyter-matplotlib-canvas-container canvas";
const SLIDER = ".widget-slider .noUi-handle";
const began = Date.now();
const say = (words) => console.log(`${((Date.now() - began) / 1000).toFixed(1)} s  ${words}`);

async function pictures(page, from = 0) {
  // What every canvas of the page shows, to the right of a share of its width.
  return page.evaluate(
    (from) =>
      [...document.querySelectorAll(".jupyter-matplotlib-canvas-container canvas")].map((one) => {
        const part = document.createElement("canvas");
        [part.width, part.height] = [Math.max(1, one.width * (1 - from)), one.height || 1];
        part.getContext("2d").drawImage(one, -one.width * from, 0);
        return part.toDataURL();
      }),
    from,
  );
}

async function rest(page, from = 0) {
  // What an earlier move sent may still be on its way.
  let before = "";
  for (;;) {
    const now = JSON.stringify(await pictures(page, from));
    if (now === before) return now;
    before = now;
    await page.waitForTimeout(500);
  }
}

async function changes(page, words, act, from = 0) {
  const before = await rest(page, from);
  const start = Date.now();
  await act();
  while (JSON.stringify(await pictures(page, from)) === before) {
    if (Date.now() - start > PATIENCE) throw new Error(`${words}: no picture changed in ${PATIENCE} ms`);
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

async function choose(page, name) {
  // Another choice in every list whose picture follows it.
  const lists = page.locator(".widget-dropdown select");
  const number = await lists.count();
  for (let index = 0; index < number; index++) {
    const one = lists.nth(index);
    const label = await one.evaluate((list) => list.parentElement.innerText.split("\n")[0]);
    if (!["case", "left", "right", "pattern", "surface"].includes(label)) continue;
    await one.scrollIntoViewIfNeeded();
    const options = await one.locator("option").allInnerTexts();
    const other = options[options.length - 1];
    if (other === (await one.evaluate((list) => list.selectedOptions[0].innerText))) continue;
    await changes(page, `${name}, ${label}: ${other}`, () => one.selectOption({ label: other }));
  }
}

async function click(page, name) {
  const canvas = page.locator(CANVAS).last();
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  for (const [words, x, y] of [["a profile", 0.2, 0.45], ["a section", 0.55, 0.3]]) {
    // It opens in the right third; the marks on the maps lie left of that.
    await changes(
      page,
      `${name}, a click for ${words}`,
      () => page.mouse.click(box.x + x * box.width, box.y + y * box.height),
      0.72,
    );
  }
}

async function takeAway(page, name) {
  await page.locator('button:has-text("Make a figure")').last().click();
  const link = page.locator("a[download]").last();
  await link.waitFor({ timeout: PATIENCE });
  const [file] = await Promise.all([page.waitForEvent("download"), link.click()]);
  const bytes = readFileSync(await file.path());
  if (bytes.toString("latin1", 1, 4) !== "PNG" || bytes.length < 30000)
    throw new Error(`${name}: ${file.suggestedFilename()} is no picture`);
  say(`${name}: ${file.suggestedFilename()} is taken away, ${bytes.length >> 10} KiB`);
}

async function goOn(page, name) {
  // One more record, as a training elsewhere would write it.
  const lines = readFileSync(`${run}/metrics.jsonl`, "utf-8").trim().split("\n");
  const last = JSON.parse(lines.at(-1));
  const next = JSON.stringify({ ...last, step: last.step + 10, steps: last.steps + 10, loss: 3 * last.loss }) + "\n";
  await changes(page, `${name}, a record more`, async () => appendFileSync(`${run}/metrics.jsonl`, next));
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
  // Until the first cell is asked for, all is idle.
  await page.waitForFunction(
    () => [...document.querySelectorAll(".jp-InputPrompt")].some((one) => /[\d*]/.test(one.textContent)),
    null,
    { timeout: 60000, polling: 100 },
  );
  await idle();
  const broken = await page.evaluate(() => [
    ...[...document.querySelectorAll(".jp-OutputArea-output")]
      .map((one) => one.textContent)
      .filter((text) => text.includes("Traceback (most recent call last)")),
    ...[...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")]
      .map((one) => one.textContent)
      .filter((text) => /\[ ?\]/.test(text))
      .map(() => "a cell was not run"),
  ]);
  if (broken.length) throw new Error(`${name}: ${broken[0]}`);
  const sliders = await moveSliders(page, name);
  if (/02_|05_/.test(name)) await choose(page, name);
  if (/04_|05_|silent/.test(name)) await click(page, name);
  if (/05_/.test(name)) await takeAway(page, name);
  if (/follow_/.test(name)) await goOn(page, name);
  await rest(page);
  await page.screenshot({ path: `${shots}/${name.replace(/.*\//, "").replace(".ipynb", "")}.png` });
  say(`${name}: all cells ran, ${sliders} slider(s)`);
  await page.close();
  return sliders;
}

async function runVoila(browser) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  await page.goto(voila, { waitUntil: "domcontentloaded", timeout: 180000 });
  await page.waitForSelector(CANVAS, { timeout: 120000 });
  await page.waitForTimeout(2000);
  await moveSliders(page, "voila");
  await click(page, "voila");
  await page.screenshot({ path: `${shots}/voila.png` });
  say("voila: the reconstruction is served");
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
});
mkdirSync(shots, { recursive: true });
try {
  let sliders = 0;
  for (const name of notebooks) sliders += await runNotebook(browser, name);
  if (voila && sliders < 8) throw new Error(`${sliders} sliders in all notebooks, at least 8 are expected`);
  if (voila) await runVoila(browser);
} catch (error) {
  for (const context of browser.contexts())
    for (const page of context.pages()) await page.screenshot({ path: `${shots}/failed.png` });
  throw error;
} finally {
  await browser.close();
}
