"use strict";
// full-disk.cjs — preloaded into a child (node --require): SQLite files of this process may grow to PERMAFROST_TEST_PAGES pages,
// and writing more fails as on a full disk, with SQLite's own SQLITE_FULL.

const libsql = require("libsql");

const full = class extends libsql {
  constructor(...args) {
    super(...args);
    this.pragma(`max_page_count = ${process.env.PERMAFROST_TEST_PAGES}`);
  }
};
require.cache[require.resolve("libsql")].exports = Object.assign(full, libsql);
