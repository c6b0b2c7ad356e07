// The pinned solc of package.json (WebAssembly, same bytecode as the native build) behind the part of
// the native command line that py-solc-x, forge and slither use: --version and --standard-json.
// tools/setup.py starts it through a small shell script and hands the version over in BACKSTOP_SOLC_VERSION,
// so that --version, which ape asks for several times a run, does not load 9 MB of compiler.
"use strict";
const fs = require("fs");
const path = require("path");
const nodeModule = require("module");

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

const inputFile = args.find((arg) => !arg.startsWith("-") && arg.endsWith(".json") && fs.existsSync(arg));
const input = fs.readFileSync(inputFile || 0, "utf8");
const solc = require("solc/wrapper")(withHeapInput(require("solc/soljson.js")));
writeAll(fixBuiltinIds(solc.compile(input, { import: findImport })));
