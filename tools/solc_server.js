// A compiler that stays loaded: standard JSON in, one request a line, standard JSON out, one answer a line.
// For many small compilations (mutants, proofs): starting solc.js anew costs more than the compilation.
"use strict";
const readline = require("readline");
const solc = require("solc/wrapper")(require("solc/soljson.js"));

const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });
lines.on("line", (line) => process.stdout.write(solc.compile(line) + "\n"));
