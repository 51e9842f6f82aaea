// addon.cc — the export table. Every function goes in four beats: unpack and check on the JS thread, own plain data, run
// on the model's executor, build results on the JS thread. The types are in src/native/contract.ts.
#include <napi.h>

#include <algorithm>
#include <thread>

#include "args.h"
#include "environment.h"
#include "handles.h"
#include "results.h"
#include "self_test.h"

namespace permafrost::addon {

namespace {

using Info = const Napi::CallbackInfo&;

// Every export goes through this: whatever C++ throws on the JS thread becomes a JavaScript error.
template <Napi::Value (*fn)(Info)>
Napi::Value guarded(Info info) {
  const auto translate = [&](const Error& e) -> Napi::Error { return make_error(info.Env(), e); };
  try {
    return fn(info);
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& e) {
    throw translate(e);
  } catch (const std::bad_alloc&) {
    throw translate(Error("ERR_MEMORY", "out of memory in the native core"));
  } catch (const std::exception& e) {
    throw translate(Error("ERR_NATIVE", e.what()));
  }
}

std::vector<std::string> runnable_isas() {
  std::vector<std::string> names;
  for (const char* name : {"avx512", "avx2", "portable", "ref"})
    if (kernels::find_kernels(name)) names.push_back(name);
  return names;
}

Napi::Value version(Info info) {
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("addon", PERMAFROST_VERSION);
#if defined(__clang__)
  o.Set("compiler", "clang " __clang_version__);
#elif defined(__GNUC__)
  o.Set("compiler", "gcc " __VERSION__);
#else
  o.Set("compiler", "msvc");
#endif
  o.Set("napi", NAPI_VERSION);
  return o;
}

Napi::Value list_devices(Info info) {
  const Napi::Env env = info.Env();
  Napi::Object cpu = Napi::Object::New(env);
  cpu.Set("kind", "cpu");
  Napi::Array isas = Napi::Array::New(env);
  for (const std::string& name : runnable_isas()) isas.Set(isas.Length(), name);
  cpu.Set("isas", isas);
  cpu.Set("bf16", kernels::has_bf16_instructions());
  cpu.Set("threads", std::max(1u, std::thread::hardware_concurrency()));
  Napi::Array devices = Napi::Array::New(env);
  devices.Set(uint32_t(0), cpu);
  return devices;
}

std::shared_ptr<ModelBox> new_box(Napi::Env env) {
  auto box = std::make_shared<ModelBox>();
  box->environment = &Environment::of(env);
  box->environment->add(box.get());
  return box;
}

Napi::Value run_self_test(Info info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) args::reject(env, "ERR_ARG", "isa: expected a string");
  const std::string isa = info[0].As<Napi::String>();
  const kernels::KernelTable* table = kernels::find_kernels(isa.c_str());
  if (!table) args::reject(env, "ERR_RANGE", "isa: expected kernels this machine can run, received \"" + isa + "\"");
  auto results = std::make_shared<std::vector<std::pair<std::string, double>>>();
  return Environment::of(env).start(
      env, new_box(env),
      [results, table] {
        ThreadPool pool(2);
        *results = self_test(*table, pool);
      },
      [results](Napi::Env e) {
        Napi::Object o = Napi::Object::New(e);
        for (const auto& [name, difference] : *results) o.Set(name, difference);
        return o;
      });
}

Napi::Value run_measure_peak(Info info) {
  const Napi::Env env = info.Env();
  const Napi::Object spec = args::object(info, 0, "spec");
  const int threads = int(args::integer(spec, "threads", 1, 1024));
  const std::string isa = args::string(spec, "isa");
  const kernels::KernelTable* table = kernels::find_kernels(isa.c_str());
  if (!table) args::reject(env, "ERR_RANGE", "isa: expected kernels this machine can run, received \"" + isa + "\"");
  auto peak = std::make_shared<Peak>();
  return Environment::of(env).start(
      env, new_box(env),
      [peak, table, threads] {
        ThreadPool pool(threads);
        *peak = measure_peak(*table, pool);
      },
      [peak](Napi::Env e) { return results::peak(e, *peak); });
}

// ---- runs ------------------------------------------------------------------------------------------------------------

std::string run_name(Info info) {
  if (!info[0].IsString()) args::reject(info.Env(), "ERR_ARG", "name: expected a string");
  return info[0].As<Napi::String>();
}

Napi::Value begin_run(Info info) {
  Environment::of(info.Env()).begin_run(run_name(info));
  return info.Env().Undefined();
}

Napi::Value end_run(Info info) {
  Environment::of(info.Env()).end_run(run_name(info));
  return info.Env().Undefined();
}

Napi::Value is_running(Info info) { return Napi::Boolean::New(info.Env(), Environment::is_running(run_name(info))); }

// ---- model -----------------------------------------------------------------------------------------------------------

Napi::Value create_model(Info info) {
  const Napi::Env env = info.Env();
  const Napi::Object spec = args::object(info, 0, "spec");
  const Napi::Object tensors = args::object(info, 1, "tensors");
  const ModelConfig config = args::model_config(spec);
  const int threads = int(args::integer(spec, "threads", 1, 1024));
  const std::string isa = args::string(spec, "isa");
  const CacheBudget cache = args::cache_budget(spec);
  auto box = new_box(env);
  // Weights are copied here, on the JS thread (30 ms for 90 MB): afterwards nothing points into JavaScript's memory.
  box->model = std::make_unique<Model>(config, threads, isa, cache);
  const Layout& layout = box->model->layout();
  for (size_t t = 0; t < layout.tensors.size(); ++t) {
    const TensorInfo& tensor = layout.tensors[t];
    box->model->set_tensor(int(t), args::floats(args::field(tensors, tensor.name.c_str()), "tensors." + tensor.name, tensor.size()));
  }
  return Environment::of(env).start(env, box, [] {}, [box](Napi::Env e) { return wrap(e, box); });
}

Napi::Value describe_model(Info info) { return results::model_description(info.Env(), *model_of(info, 0)->model); }

Napi::Value add_dataset(Info info) {
  const auto box = model_of(info, 0);
  const Napi::Object spec = args::object(info, 1, "data");
  Dataset data;
  data.ids = args::ints(args::field(spec, "ids"), "ids");
  data.types = args::ints(args::field(spec, "types"), "types");
  data.offsets = args::ints(args::field(spec, "offsets"), "offsets");
  data.labels = args::ints(args::field(spec, "labels"), "labels");
  require_live(info.Env(), *box);
  auto index = std::make_shared<int>();
  auto held = std::make_shared<Dataset>(std::move(data));
  return Environment::of(info.Env())
      .start(
          info.Env(), box, [box, held, index] { *index = box->model->add_dataset(std::move(*held)); },
          [index](Napi::Env e) { return Napi::Number::New(e, *index); });
}

Napi::Value undefined(Napi::Env env) { return env.Undefined(); }

Napi::Value remove_dataset(Info info) {
  const auto box = model_of(info, 0);
  const int index = args::integer(info, 1, "dataset");
  return Environment::of(info.Env()).start(info.Env(), box, [box, index] { box->model->remove_dataset(index); }, undefined);
}

// ---- session ---------------------------------------------------------------------------------------------------------

Napi::Value create_session(Info info) {
  const Napi::Env env = info.Env();
  const auto model = model_of(info, 0);
  if (!info[1].IsArray() || info[1].As<Napi::Array>().Length() == 0) args::reject(env, "ERR_ARG", "lanes: expected an array of at least one lane");
  const Napi::Array list = info[1].As<Napi::Array>();
  const Layout layout = model->model->layout();  // a copy: a getter of the arguments may dispose the model
  std::vector<LaneConfig> lanes;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value lane = list.Get(i);
    if (!lane.IsObject()) args::reject(env, "ERR_ARG", "lanes[" + std::to_string(i) + "]: expected an object");
    lanes.push_back(args::lane_config(lane.As<Napi::Object>(), layout));
  }
  const Napi::Object options = args::object(info, 2, "options");
  const std::string precision = args::string(options, "precision"), cache = args::string(options, "cache");
  if (precision != "fp32" && precision != "bf16") args::reject(env, "ERR_RANGE", "precision: expected \"fp32\" or \"bf16\", received \"" + precision + "\"");
  if (cache != "auto" && cache != "off") args::reject(env, "ERR_RANGE", "cache: expected \"auto\" or \"off\", received \"" + cache + "\"");
  const bool pack = args::field(options, "packWeights").ToBoolean(), in_place = args::field(options, "inPlace").ToBoolean();
  require_live(env, *model);
  auto box = std::make_shared<SessionBox>();
  box->model = model;
  // Known to the model from now on: a dispose() that is posted after this job frees what it makes.
  auto& sessions = model->sessions;
  sessions.erase(std::remove_if(sessions.begin(), sessions.end(), [](const auto& s) { return s.expired(); }), sessions.end());
  sessions.push_back(box);
  return Environment::of(env).start(
      env, model,
      [box, lanes, precision, cache, pack, in_place] {
        box->session = std::make_unique<Session>(*box->model->model, lanes, precision == "bf16" ? kernels::Precision::bf16 : kernels::Precision::f32,
                                                 cache == "auto", in_place);
        if (pack) box->session->pack_frozen_weights();
        box->bytes = box->session->bytes() + (pack ? box->model->model->packed_bytes() : 0);
      },
      [box](Napi::Env e) {
        box->ready = true;
        return wrap(e, box);
      });
}

// Starts `work` on the session, one call at a time: a second throws ERR_BUSY.
Napi::Value start(Info info, const std::shared_ptr<SessionBox>& box, std::function<void()> work, std::function<Napi::Value(Napi::Env)> finish) {
  require_live(info.Env(), *box);
  if (box->busy) args::reject(info.Env(), "ERR_BUSY", "expected an idle session, received one with a call in flight");
  box->session->clear_cancel();
  box->busy = true;
  try {
    return Environment::of(info.Env()).start(info.Env(), box->model, std::move(work), std::move(finish), [box] { box->busy = false; });
  } catch (...) {
    box->busy = false;  // not started
    throw;
  }
}

Napi::Value describe_plan(Info info) {
  const auto box = session_of(info, 0);
  const Napi::Object request = args::object(info, 1, "request");
  const int lane = int(args::integer(request, "lane", 0, 1 << 20));
  const std::vector<int32_t> lengths = args::ints(args::field(request, "lengths"), "lengths");
  const bool cached = args::boolean(request, "cached");
  require_live(info.Env(), *box);
  if (box->busy) args::reject(info.Env(), "ERR_BUSY", "expected an idle session, received one with a call in flight");
  const ModelConfig& config = box->model->model->config();
  BatchShape shape;
  for (int32_t n : lengths) {
    if (n < 1 || n > config.positions)
      args::reject(info.Env(), "ERR_RANGE", "lengths: expected lengths in [1, " + std::to_string(config.positions) + "], received " + std::to_string(n));
    shape.T += n;
    shape.B += 1;
    shape.S2 += int64_t(n) * n;
  }
  // The costs are int64: no sum of them may overflow. Far more than any epoch has.
  const double widest = double(std::max({config.hidden, config.ffn, config.labels}));  // beside hidden: no weight is wide both ways
  const double most = double(config.layers + 2) * config.hidden * (20.0 * double(shape.S2) + 30.0 * double(shape.T) * widest);
  if (most > 4e18) args::reject(info.Env(), "ERR_RANGE", "lengths: expected fewer tokens, received " + std::to_string(shape.T));
  Plan plan = box->session->plan(lane, cached);
  return results::plan_description(info.Env(), *box->model->model, plan, shape);
}

Napi::Value run_steps(Info info) {
  const auto box = session_of(info, 0);
  auto chunk = std::make_shared<StepChunk>(args::step_chunk(args::object(info, 1, "chunk")));
  auto out = std::make_shared<StepResults>();
  return start(
      info, box, [box, chunk, out] { *out = box->session->run_steps(*chunk); }, [out](Napi::Env e) { return results::step_results(e, *out); });
}

Napi::Value evaluate(Info info) {
  const auto box = session_of(info, 0);
  const Napi::Object request = args::object(info, 1, "request");
  const int lane = int(args::integer(request, "lane", 0, 1 << 20)), dataset = int(args::integer(request, "dataset", 0, 1 << 30));
  const Napi::Value rows_value = args::field(request, "rows");
  const bool all = rows_value.IsUndefined();
  auto rows = std::make_shared<std::vector<int32_t>>();
  if (!all) *rows = args::ints(rows_value, "rows");
  const bool hidden = args::field(request, "hiddenStates").ToBoolean();
  auto out = std::make_shared<EvaluateResults>();
  return start(
      info, box,
      [=] {
        if (all)
          for (int r = 0; r < box->model->model->dataset(dataset).rows(); ++r) rows->push_back(r);
        *out = box->session->evaluate(lane, dataset, *rows, hidden);
      },
      [out, hidden](Napi::Env e) { return results::evaluate_results(e, *out, hidden); });
}

Napi::Value gradients(Info info) {
  const auto box = session_of(info, 0);
  const int lane = args::integer(info, 1, "lane"), dataset = args::integer(info, 2, "dataset");
  auto rows = std::make_shared<std::vector<int32_t>>(args::ints(info[3], "rows"));
  auto out = std::make_shared<GradientResults>();
  return start(
      info, box, [=] { *out = box->session->gradients(lane, dataset, *rows); }, [out](Napi::Env e) { return results::gradient_results(e, *out); });
}

// ---- state -----------------------------------------------------------------------------------------------------------

Napi::Value read_tensors(Info info) {
  const Napi::Env env = info.Env();
  const auto box = session_of(info, 0);
  const int lane = args::integer(info, 1, "lane");
  if (!info[2].IsArray()) args::reject(env, "ERR_ARG", "names: expected an array of strings");
  const Napi::Array list = info[2].As<Napi::Array>();
  const Layout layout = box->model->model->layout();  // a copy: a getter of the list may dispose the model
  std::vector<int> tensors;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value v = list.Get(i);
    const std::string name = v.IsString() ? std::string(v.As<Napi::String>()) : "";
    const int t = layout.find(name);
    if (t < 0) args::reject(env, "ERR_RANGE", "names[" + std::to_string(i) + "]: expected a tensor of the model, received \"" + name + "\"");
    tensors.push_back(t);
  }
  auto out = std::make_shared<std::vector<std::vector<float>>>();
  return start(
      info, box,
      [=] {
        Lane& l = box->session->lane(lane);
        l.settle_all(box->model->model->pool());
        for (int t : tensors) {
          const float* p = l.param(t);
          out->emplace_back(p, p + box->model->model->layout().tensors[size_t(t)].size());
        }
      },
      [out](Napi::Env e) {
        Napi::Array array = Napi::Array::New(e);
        for (auto& values : *out) array.Set(array.Length(), results::floats(e, std::move(values)));
        return array;
      });
}

Napi::Value snapshot(Info info) {
  const auto box = session_of(info, 0);
  const int lane = args::integer(info, 1, "lane");
  return start(info, box, [=] { box->session->lane(lane).snapshot(box->model->model->pool()); }, undefined);
}

Napi::Value restore(Info info) {
  const auto box = session_of(info, 0);
  const int lane = args::integer(info, 1, "lane");
  return start(info, box, [=] { box->session->lane(lane).restore(box->model->model->pool()); }, undefined);
}

Napi::Value save_state(Info info) {
  const auto box = session_of(info, 0);
  const int lane = args::integer(info, 1, "lane");
  auto out = std::make_shared<std::vector<uint8_t>>();
  return start(
      info, box, [=] { *out = box->session->lane(lane).save(box->model->model->pool()); },
      [out](Napi::Env e) { return results::bytes(e, std::move(*out)); });
}

Napi::Value load_state(Info info) {
  const auto box = session_of(info, 0);
  const int lane = args::integer(info, 1, "lane");
  auto state = std::make_shared<std::vector<uint8_t>>(args::bytes(info[2], "state"));
  return start(info, box, [=] { box->session->lane(lane).load(state->data(), state->size()); }, undefined);
}

// ---- life ------------------------------------------------------------------------------------------------------------

Napi::Value profile(Info info) {
  const auto box = session_of(info, 0);
  if (box->busy) args::reject(info.Env(), "ERR_BUSY", "expected an idle session, received one with a call in flight");
  return results::profile(info.Env(), box->session->profile());
}

Napi::Value cancel(Info info) {
  session_of(info, 0)->session->cancel();
  return info.Env().Undefined();
}

Napi::Value resolved(Napi::Env env) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Resolve(env.Undefined());
  return deferred.Promise();
}

Napi::Value dispose(Info info) {
  const Napi::Env env = info.Env();
  if (const auto session = try_session(info[0])) {
    if (session->disposed || session->model->disposed) return resolved(env);
    session->disposed = true;
    session->session->cancel();
    return Environment::of(env).start(
        env, session->model, [session] { session->session.reset(); }, [session](Napi::Env e) { return forget_memory(e, *session); });
  }
  const auto model = try_model(info[0]);
  if (!model) args::reject(env, "ERR_ARG", "expected a model or session handle");
  if (model->disposed) return resolved(env);
  model->cancel_all();
  model->disposed = true;
  const auto sessions = model->live_sessions();
  return Environment::of(env).start(
      env, model,
      [model, sessions] {
        for (const auto& session : sessions) session->session.reset();
        model->model.reset();
      },
      [model, sessions](Napi::Env e) {
        for (const auto& session : sessions) forget_memory(e, *session);
        model->executor.close();  // its thread goes now, not when the handle is collected
        return forget_memory(e, *model);
      });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment(env));
  const auto add = [&](const char* name, Napi::Value (*fn)(Info)) { exports.Set(name, Napi::Function::New(env, fn, name)); };
  add("version", guarded<version>);
  add("listDevices", guarded<list_devices>);
  add("selfTest", guarded<run_self_test>);
  add("measurePeak", guarded<run_measure_peak>);
  add("beginRun", guarded<begin_run>);
  add("endRun", guarded<end_run>);
  add("isRunning", guarded<is_running>);
  add("createModel", guarded<create_model>);
  add("describeModel", guarded<describe_model>);
  add("addDataset", guarded<add_dataset>);
  add("removeDataset", guarded<remove_dataset>);
  add("createSession", guarded<create_session>);
  add("describePlan", guarded<describe_plan>);
  add("runSteps", guarded<run_steps>);
  add("evaluate", guarded<evaluate>);
  add("gradients", guarded<gradients>);
  add("readTensors", guarded<read_tensors>);
  add("snapshot", guarded<snapshot>);
  add("restore", guarded<restore>);
  add("saveState", guarded<save_state>);
  add("loadState", guarded<load_state>);
  add("profile", guarded<profile>);
  add("cancel", guarded<cancel>);
  add("dispose", guarded<dispose>);
  return exports;
}

}  // namespace

}  // namespace permafrost::addon

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return permafrost::addon::init(env, exports); }
NODE_API_MODULE(permafrost, Init)
