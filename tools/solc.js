// The pinned solc of package.json (WebAssembly, same bytecode as the native build) behind the part of
// the native command line that py-solc-x, forge and slither use: --version and --standard-json.
// tools/setup.py starts it through a small shell script and hands the version over in BACKSTOP_SOLC_VERSION,
// so that --version, which ape asks for several times a run, does not load 9 MB of compiler.
//
// A large project is compiled by several threads, which the native compiler does not do: each sees all
// sources, so that everything is numbered as in one run and the bytecode is the same to the byte, and
// generates code for a part of them. BACKSTOP_SOLC_JOBS limits their number.
"use strict";
const fs = require("fs");
const os = require("os");
const path = require("path");
const nodeModule = require("module");
const threads = require("worker_threads");

const args = process.argv.slice(2);

if (args.includes("--version")) {
  const version = process.env.BACKSTOP_SOLC_VERSION || require("solc").version();
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`);
  process.exit(0);
}

if (!args.includes("--standard-json")) {
  console.error("this launcher of solc knows only --version and --standard-json");
  process.exit(1);
}

if (nodeModule.enableCompileCache) nodeModule.enableCompileCache();

function optionValues(name) {
  const values = [];
  args.forEach((arg, i) => {
    if (arg === name && i + 1 < args.length) values.push(args[i + 1]);
    else if (arg.startsWith(`${name}=`)) values.push(arg.slice(name.length + 1));
  });
  return values;
}

const roots = [...optionValues("--base-path"), ...optionValues("--include-path")];
if (roots.length === 0) roots.push(process.cwd());

function findImport(name) {
  const candidates = path.isAbsolute(name) ? [name] : roots.map((root) => path.join(root, name));
  for (const file of candidates) {
    try {
      return { contents: fs.readFileSync(file, "utf8") };
    } catch {
      // try the next root
    }
  }
  return { error: `Source "${name}" not found` };
}

// solc-js copies the input on the WebAssembly stack, four bytes a character, which overflows for a large
// project; put it on the heap, where the compiler's own reset() frees it.
function withHeapInput(solJson) {
  const cwrap = solJson.cwrap;
  solJson.cwrap = (name, returns, parameters) => {
    if (name !== "solidity_compile") return cwrap(name, returns, parameters);
    return (input, ...rest) => {
      const size = solJson.lengthBytesUTF8(input) + 1;
      const pointer = solJson._solidity_alloc(size);
      solJson.stringToUTF8(input, pointer, size);
      return solJson.UTF8ToString(solJson._solidity_compile(pointer, ...rest));
    };
  };
  return solJson;
}

// The ids of built-ins (msg, block, this, ...) are small negative numbers; the 32-bit build prints them unsigned.
function signed(number) {
  return number >= 0xfffffc00 && number <= 0xffffffff ? number - 2 ** 32 : number;
}

function fixBuiltinIds(json) {
  return json
    .replace(/("referencedDeclaration":\s*)(42949\d{5})/g, (_, key, id) => key + signed(Number(id)))
    .replace(/("overloadedDeclarations":\s*\[)([^\]]*)/g, (_, key, ids) =>
      key + ids.replace(/\b42949\d{5}\b/g, (id) => signed(Number(id))));
}

function compile(text) {
  const solc = require("solc/wrapper")(withHeapInput(require("solc/soljson.js")));
  return fixBuiltinIds(solc.compile(text, { import: findImport }));
}

// --- several threads

const CODE = /^(?:evm(?:\.|$)|ir|bin|assembly|\*$)/;

function selectsCode(selection) {
  return Object.entries(selection).some(([contract, outputs]) => contract !== "" && outputs.some((o) => CODE.test(o)));
}

// Length of a source and all it imports, for sources from which code comes: roughly the time it takes.
function weights(input, files) {
  const direct = {};
  const visit = (file, seen) => {
    const source = input.sources[file];
    if (seen.has(file) || !source || typeof source.content !== "string") return 0;
    seen.add(file);
    direct[file] ??= [...source.content.matchAll(/^\s*import\b[^;]*?["']([^"']+)["']/gm)].map((found) =>
      found[1].startsWith(".") ? path.posix.join(path.posix.dirname(file), found[1]) : found[1]);
    return direct[file].reduce((sum, next) => sum + visit(next, seen), source.content.length);
  };
  const makesCode = /^(?!\s*(?:\/\/|\*|abstract))\s*(?:contract|library)\s/m;
  return files.map((file) => (makesCode.test(input.sources[file]?.content ?? "") ? visit(file, new Set()) : 1));
}

function parts(input) {
  let selection = input.settings?.outputSelection ?? {};
  if (Object.keys(selection).join() === "*")
    selection = Object.fromEntries(Object.keys(input.sources).map((file) => [file, selection["*"]]));
  const files = Object.keys(selection);
  if (input.language !== "Solidity" || !files.every((file) => file in input.sources && selectsCode(selection[file]))) return [];
  const limit = Number(process.env.BACKSTOP_SOLC_JOBS) || Math.min(4, os.availableParallelism?.() ?? os.cpus().length);
  const size = weights(input, files);
  const order = files.map((_, i) => i).sort((a, b) => size[b] - size[a]);
  if (size.filter((weight) => weight > 1).length < 4) return [];
  const bins = Array.from({ length: limit }, () => ({ load: 0, selection: {} }));
  for (const i of order) {
    const bin = bins.reduce((least, other) => (other.load < least.load ? other : least));
    bin.load += size[i];
    bin.selection[files[i]] = selection[files[i]];
  }
  return bins.filter((bin) => bin.load > 0).map((bin) => bin.selection);
}

function merge(outputs) {
  const merged = { contracts: {}, sources: {} };
  const errors = new Map();
  for (const output of outputs) {
    for (const error of output.errors ?? []) errors.set(JSON.stringify(error), error);
    Object.assign(merged.contracts, output.contracts);
    for (const [file, source] of Object.entries(output.sources ?? {}))
      merged.sources[file] = { ...merged.sources[file], ...source };
  }
  if (errors.size) merged.errors = [...errors.values()];
  return merged;
}

function inThread(text) {
  return new Promise((resolve, reject) => {
    const thread = new threads.Worker(__filename, { argv: args, workerData: text });
    thread.once("message", resolve);
    thread.once("error", reject);
    thread.once("exit", (code) => reject(new Error(`a compiler thread ended with code ${code}`)));
  });
}

async function compileInThreads(input, selections) {
  const texts = selections.map((outputSelection) =>
    JSON.stringify({ ...input, settings: { ...input.settings, outputSelection } }));
  return JSON.stringify(merge((await Promise.all(texts.map(inThread))).map((text) => JSON.parse(text))));
}

function writeAll(text) {
  const bytes = Buffer.from(text, "utf8");
  let done = 0;
  while (done < bytes.length) {
    try {
      done += fs.writeSync(1, bytes, done);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

async function main() {
  const file = args.find((arg) => !arg.startsWith("-") && arg.endsWith(".json") && fs.existsSync(arg));
  const text = fs.readFileSync(file || 0, "utf8");
  let selections = [];
  let input;
  try {
    input = JSON.parse(text);
    selections = parts(input);
  } catch {
    // not for us to judge: the compiler explains what is wrong with its input
  }
  writeAll(selections.length > 1 ? await compileInThreads(input, selections) : compile(text));
}

if (threads.isMainThread) {
  main().catch((error) => {
    console.error(error);
    process.exit(1);
  });
} else {
  threads.parentPort.postMessage(compile(threads.workerData));
}
