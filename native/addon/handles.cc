#include "environment.h"
#include "handles.h"

#include "args.h"

namespace permafrost::addon {

namespace {

// Random numbers, once: what makes a handle ours.
constexpr napi_type_tag kModelTag = {0x6d1f0c7b5a3e49d2ULL, 0x9b84f2e0c6a71d35ULL};
constexpr napi_type_tag kSessionTag = {0x1e93b7d4f80a4c66ULL, 0xa5d20f7e3b9c8814ULL};

template <class Box>
Napi::Value report_memory(Napi::Env env, Box& box, size_t bytes) {
  Napi::MemoryManagement::AdjustExternalMemory(env, int64_t(bytes) - box.reported);
  box.reported = int64_t(bytes);
  return env.Undefined();
}

template <class Box>
Napi::Value wrap_box(Napi::Env env, const std::shared_ptr<Box>& box, const napi_type_tag& tag, size_t bytes) {
  auto handle = Napi::External<std::shared_ptr<Box>>::New(env, new std::shared_ptr<Box>(box), [](Napi::Env e, std::shared_ptr<Box>* held) {
    report_memory(e, **held, 0);
    delete held;
  });
  if (napi_type_tag_object(env, handle, &tag) != napi_ok) throw Napi::Error::New(env);
  report_memory(env, *box, bytes);
  return handle;
}

template <class Box>
std::shared_ptr<Box> unwrap(Napi::Value value, const napi_type_tag& tag) {
  if (!value.IsExternal()) return nullptr;
  bool ours = false;
  if (napi_check_object_type_tag(value.Env(), value, &tag, &ours) != napi_ok || !ours) return nullptr;
  return *value.As<Napi::External<std::shared_ptr<Box>>>().Data();
}

}  // namespace

ModelBox::~ModelBox() {
  if (environment) environment->remove(this);
  executor.close();
}

std::vector<std::shared_ptr<SessionBox>> ModelBox::live_sessions() const {
  std::vector<std::shared_ptr<SessionBox>> live;
  for (const auto& weak : sessions)
    if (auto box = weak.lock()) live.push_back(std::move(box));
  return live;
}

void ModelBox::cancel_all() {
  if (disposed) return;  // the executor is freeing them, or has
  for (const auto& box : live_sessions())
    if (box->ready && !box->disposed) box->session->cancel();
}

void ModelBox::shut_down() {
  cancel_all();
  executor.close();
  // Handles may be finalised after the environment's data, or never, if a job in flight holds them: free the memory now.
  for (const auto& box : live_sessions()) box->session.reset();
  model.reset();
  environment = nullptr;
}

Napi::Value wrap(Napi::Env env, const std::shared_ptr<ModelBox>& box) {
  return wrap_box(env, box, kModelTag, box->model->layout().size * sizeof(float));
}
Napi::Value wrap(Napi::Env env, const std::shared_ptr<SessionBox>& box) { return wrap_box(env, box, kSessionTag, box->bytes); }

Napi::Value forget_memory(Napi::Env env, ModelBox& box) { return report_memory(env, box, 0); }
Napi::Value forget_memory(Napi::Env env, SessionBox& box) { return report_memory(env, box, 0); }

std::shared_ptr<ModelBox> try_model(Napi::Value value) { return unwrap<ModelBox>(value, kModelTag); }
std::shared_ptr<SessionBox> try_session(Napi::Value value) { return unwrap<SessionBox>(value, kSessionTag); }

void require_live(Napi::Env env, const ModelBox& box) {
  if (box.disposed) args::reject(env, "ERR_DISPOSED", "expected a live model, received a disposed one");
}

void require_live(Napi::Env env, const SessionBox& box) {
  if (box.disposed || box.model->disposed) args::reject(env, "ERR_DISPOSED", "expected a live session, received a disposed one");
}

std::shared_ptr<ModelBox> model_of(const Napi::CallbackInfo& info, size_t index) {
  const auto box = try_model(info[index]);
  if (!box) args::reject(info.Env(), "ERR_ARG", "expected a model handle");
  require_live(info.Env(), *box);
  return box;
}

std::shared_ptr<SessionBox> session_of(const Napi::CallbackInfo& info, size_t index) {
  const auto box = try_session(info[index]);
  if (!box) args::reject(info.Env(), "ERR_ARG", "expected a session handle");
  require_live(info.Env(), *box);
  return box;
}

}  // namespace permafrost::addon
