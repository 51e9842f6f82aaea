// error.h — the one exception the core throws; the addon turns it into a JavaScript Error with `code`.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace permafrost {

struct Error : std::runtime_error {
  std::string code;  // "ERR_RANGE", …: src/native/call.ts has them all
  Error(std::string code_, const std::string& message) : std::runtime_error(message), code(std::move(code_)) {}
};

template <class... Parts>
[[noreturn]] void fail(const char* code, const Parts&... parts) {
  std::ostringstream s;
  (s << ... << parts);
  throw Error(code, s.str());
}

}  // namespace permafrost
