// The compiler's model checker with a solver: standard JSON in, standard JSON out.
// BACKSTOP_SOLVER is a Z3, BACKSTOP_SOLVER_SECONDS the time that one try at a question may take; a question that is not
// decided is tried again with other seeds: for multiplications of unknowns, luck is part of the search.
// The questions differ in their order from run to run, so answers cannot be handed in beforehand.
"use strict";
const fs = require("fs");
const { spawnSync } = require("child_process");
const solc = require("solc/wrapper")(require("solc/soljson.js"));

const solver = process.env.BACKSTOP_SOLVER || "z3";
const seconds = Number(process.env.BACKSTOP_SOLVER_SECONDS) || 20;
const tries = [[], ["smt.random_seed=7", "smt.arith.solver=2"], ["smt.random_seed=23", "smt.arith.nl.order=false"]];

function smtSolver(question) {
  for (const options of tries) {
    const done = spawnSync(solver, ["-smt2", "-in", `-T:${seconds}`, ...options], {
      input: question,
      encoding: "utf8",
      maxBuffer: 1 << 28,
      timeout: (seconds + 5) * 1000,
    });
    if (done.error && done.error.code === "ENOENT") throw new Error(`no solver at ${solver}`);
    if (/^(sat|unsat)\b/.test(done.stdout || "")) return { contents: done.stdout };
  }
  return { contents: "unknown\n" };
}

process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { smtSolver }) + "\n");
