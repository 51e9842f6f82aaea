// handles.h — the two opaque handles. Session ⊂ model: a session keeps its model alive, disposing a model disposes its
// sessions. Handles carry a type tag, so a forged or foreign object never reaches a C++ pointer. V8 is told of the weights and
// moments behind a handle, or dropped models would look too small to collect.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "../core/session.h"
#include "executor.h"

namespace permafrost::addon {

class Environment;
struct SessionBox;

struct ModelBox {
  Environment* environment = nullptr;
  std::unique_ptr<Model> model;  // null until created, and after disposal
  std::vector<std::weak_ptr<SessionBox>> sessions;  // also those still being made; JS thread only
  bool disposed = false;                            // JS thread only
  int64_t reported = 0;                             // bytes V8 was told of; JS thread only
  Executor executor;      // last: its thread ends before the model goes

  ~ModelBox();
  std::vector<std::shared_ptr<SessionBox>> live_sessions() const;  // JS thread only
  void cancel_all();
  // At the end of the environment: cancels, runs the executor dry, joins it, frees the model.
  void shut_down();
};

struct SessionBox {
  std::shared_ptr<ModelBox> model;
  std::unique_ptr<Session> session;  // written by the executor; the JS thread may look while ready and not disposed
  bool ready = false;                // made, and its promise settled; JS thread only
  bool disposed = false;             // JS thread only
  bool busy = false;                 // a call is in flight; JS thread only
  size_t bytes = 0;                  // of the session, once ready
  int64_t reported = 0;              // as the model's
};

Napi::Value wrap(Napi::Env env, const std::shared_ptr<ModelBox>& box);
Napi::Value wrap(Napi::Env env, const std::shared_ptr<SessionBox>& box);

// Tells V8 that what the handle held outside of its heap is free. Undefined, as the end of a dispose().
Napi::Value forget_memory(Napi::Env env, ModelBox& box);
Napi::Value forget_memory(Napi::Env env, SessionBox& box);

// Throw a JavaScript TypeError ERR_ARG for anything else, ERR_DISPOSED for a disposed handle.
std::shared_ptr<ModelBox> model_of(const Napi::CallbackInfo& info, size_t index);
std::shared_ptr<SessionBox> session_of(const Napi::CallbackInfo& info, size_t index);
// Throw ERR_DISPOSED. Ask again after reading arguments: their getters may have disposed the handle.
void require_live(Napi::Env env, const ModelBox& box);
void require_live(Napi::Env env, const SessionBox& box);
// Handles without the check for disposal; null when the value is not of that kind.
std::shared_ptr<ModelBox> try_model(Napi::Value value);
std::shared_ptr<SessionBox> try_session(Napi::Value value);

}  // namespace permafrost::addon
