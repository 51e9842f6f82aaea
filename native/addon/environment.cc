#include "environment.h"

#include <mutex>
#include <optional>

#include "handles.h"

namespace permafrost::addon {

struct Environment::Job {
  Environment* environment;
  Napi::Promise::Deferred deferred;
  std::shared_ptr<ModelBox> box;  // keeps the model alive while its job is in flight
  std::function<void()> work, after;
  std::function<Napi::Value(Napi::Env)> finish;
  std::optional<Error> error;
};

namespace {

struct Running {
  std::mutex mutex;
  std::set<std::string> names;
};

// Never destroyed: a worker's environment may end after the process has begun to.
Running& running() {
  static Running& all = *new Running;
  return all;
}

}  // namespace

void Environment::begin_run(const std::string& name) {
  const std::lock_guard lock(running().mutex);
  running().names.insert(name);
  runs_.insert(name);
}

void Environment::end_run(const std::string& name) {
  const std::lock_guard lock(running().mutex);
  if (runs_.erase(name)) running().names.erase(name);
}

bool Environment::is_running(const std::string& name) {
  const std::lock_guard lock(running().mutex);
  return running().names.count(name) != 0;
}

Napi::Error make_error(Napi::Env env, const Error& error) {
  Napi::Error e = Napi::Error::New(env, error.what());
  e.Set("code", Napi::String::New(env, error.code));
  return e;
}

Environment::Environment(Napi::Env env)
    : done_(Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "permafrost", 0, 1)),
      array_buffer_(Napi::Persistent(env.Global().Get("ArrayBuffer").As<Napi::Function>())) {
  done_.Unref(env);
  env.AddCleanupHook([this] { shut_down(); });
}

void Environment::shut_down() {
  for (ModelBox* box : boxes_) box->shut_down();
  while (!runs_.empty()) end_run(std::string(*runs_.begin()));
  done_.Abort();
}

Napi::ArrayBuffer Environment::array_buffer(Napi::Env env, size_t bytes) const {
  try {
    return array_buffer_.New({Napi::Number::New(env, double(bytes))}).As<Napi::ArrayBuffer>();
  } catch (const Napi::Error&) {
    throw make_error(env, Error("ERR_MEMORY", "out of memory making the results"));
  }
}

Napi::Promise Environment::start(Napi::Env env, const std::shared_ptr<ModelBox>& box, std::function<void()> work,
                                 std::function<Napi::Value(Napi::Env)> finish, std::function<void()> after) {
  auto owned = std::make_unique<Job>(Job{this, Napi::Promise::Deferred::New(env), box, std::move(work), std::move(after), std::move(finish), {}});
  const Napi::Promise promise = owned->deferred.Promise();
  const bool posted = box->executor.post([job = owned.get(), done = done_] {
    try {
      job->work();
    } catch (const Error& e) {
      job->error = e;
    } catch (const std::bad_alloc&) {
      job->error = Error("ERR_MEMORY", "out of memory in the native core");
    } catch (const std::exception& e) {
      job->error = Error("ERR_NATIVE", e.what());
    }
    // Closing: nobody is left to answer, and the promise dies with its environment. The job is leaked on purpose: its
    // JavaScript references may only be dropped on the JS thread.
    done.NonBlockingCall([job](Napi::Env env_, Napi::Function) {
      if (env_) settle(env_, job);
    });
  });
  // Nothing is counted before it is posted: that may fail for want of memory. It settles in a later turn of this thread.
  Job* job = owned.release();
  if (pending_++ == 0) done_.Ref(env);
  if (!posted) {
    job->error = Error("ERR_DISPOSED", "expected a live model, received a disposed one");
    settle(env, job);
  }
  return promise;
}

void Environment::settle(Napi::Env env, Job* raw) {
  const std::unique_ptr<Job> job(raw);
  const Napi::HandleScope scope(env);
  try {
    Environment& self = *job->environment;
    if (--self.pending_ == 0) self.done_.Unref(env);
    if (job->after) job->after();
    if (job->error) return job->deferred.Reject(make_error(env, *job->error).Value());
    try {
      job->deferred.Resolve(job->finish(env));
    } catch (const Napi::Error& e) {
      job->deferred.Reject(e.Value());
    } catch (const std::bad_alloc&) {
      job->deferred.Reject(make_error(env, Error("ERR_MEMORY", "out of memory making the results")).Value());
    }
  } catch (const Napi::Error&) {
    // The environment is being terminated: no value can be made, and nobody is left to read one.
  }
}

}  // namespace permafrost::addon
