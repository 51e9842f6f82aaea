"use strict";
// signal-at.cjs — preloaded into a child (node --require): once it has written a line that holds PERMAFROST_TEST_SIGNAL_AT it
// gets the signals of PERMAFROST_TEST_SIGNALS, each when the one before was received. From outside they may come a step late.

const at = process.env.PERMAFROST_TEST_SIGNAL_AT;
const delay = Number(process.env.PERMAFROST_TEST_SIGNAL_AFTER ?? 0); // milliseconds
const signals = process.env.PERMAFROST_TEST_SIGNALS.split(",");

const send = () => {
  const signal = signals.shift();
  if (signal === undefined) return;
  if (signals.length > 0) process.once(signal, send); // after the command's own listener
  process.kill(process.pid, signal);
};

const { write } = process.stdout; // to a pipe it is synchronous: what was written is read, also after SIGKILL
let sent = false;
process.stdout.write = function (text, ...rest) {
  const more = write.call(this, text, ...rest);
  if (!sent && String(text).includes(at)) {
    sent = true;
    if (delay > 0) setTimeout(send, delay);
    else send();
  }
  return more;
};
