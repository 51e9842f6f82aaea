// environment.h — what the addon keeps per JavaScript environment (main thread, worker). One thing is static: the names of
// what runs in this process, which all its environments must know.
//
// A job goes: JS thread → executor thread of its model → JS thread again, where its promise settles. The way back is one
// thread-safe function per environment, referenced only while jobs are in flight, so an idle addon never keeps a process
// alive. When the environment ends (exit, worker.terminate()), a cleanup hook cancels and joins every executor before
// the thread-safe function goes: hooks run last-in first-out, and ours is registered after it.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "../core/error.h"

namespace permafrost::addon {

struct ModelBox;

class Environment {
 public:
  explicit Environment(Napi::Env env);
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  // Runs `work` on the box's executor, then `finish` on the JS thread; its value resolves the promise. Errors of either
  // reject it with `code`. `after` runs on the JS thread before the promise settles, whatever happened.
  Napi::Promise start(Napi::Env env, const std::shared_ptr<ModelBox>& box, std::function<void()> work,
                      std::function<Napi::Value(Napi::Env)> finish, std::function<void()> after = {});

  // Fresh memory of JavaScript's. Throws ERR_MEMORY where napi_create_arraybuffer ends the process.
  Napi::ArrayBuffer array_buffer(Napi::Env env, size_t bytes) const;

  // A name is in use until it is ended, or until its environment ends: a terminated worker holds nothing.
  void begin_run(const std::string& name);
  void end_run(const std::string& name);
  static bool is_running(const std::string& name);

  void add(ModelBox* box) { boxes_.insert(box); }
  void remove(ModelBox* box) { boxes_.erase(box); }

 private:
  struct Job;
  void shut_down();
  static void settle(Napi::Env env, Job* job);

  Napi::ThreadSafeFunction done_;
  Napi::FunctionReference array_buffer_;  // the constructor, as it was when the addon was loaded
  std::set<ModelBox*> boxes_;
  std::set<std::string> runs_;
  int pending_ = 0;
};

// A JavaScript Error with `code`.
Napi::Error make_error(Napi::Env env, const Error& error);

}  // namespace permafrost::addon
