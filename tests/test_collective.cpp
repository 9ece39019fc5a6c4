// Processes that train together: what passes between them, and that they do what one would do.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/study/finite.h"
#include "analysis/study/own_part.h"
#include "analysis/study/progress.h"
#include "data/loader.h"
#include "models/model.h"
#include "models/update_rule.h"
#include "nn/drop.h"
#include "tensor/autograd/engine.h"
#include "tensor/ops/norm.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape.h"
#include "tests/emulated_processes.h"
#include "tests/message_of.h"
#include "tests/numeric.h"
#include "tests/test_data_support.h"
#include "train/evaluation.h"
#include "train/gradient_exchange.h"
#include "train/training_step.h"

using namespace passband;
using namespace passband::testing;
using numeric::max_difference;
using numeric::random_tensor;

namespace {

using Lines = std::vector<std::string>;

Lines nothing(int count) { return Lines(static_cast<size_t>(count)); }

// The rows of x, (B, ...), that a process has.
Tensor own_rows(const Tensor& x, const BatchShare& share) {
  return concat(
      {slice(x, 0, share.low, share.low_count), slice(x, 0, share.high, share.high_count)}, 0);
}

}  // namespace

TEST_CASE("the processes' shares are all rows, each once, and mirror themselves") {
  for (const int64_t rows : {4, 7, 12, 64, 97, 1001})
    for (const int processes : {1, 2, 3, 5, 7}) {
      if (rows / 2 < processes) continue;
      std::vector<int> seen(static_cast<size_t>(rows));
      int64_t least = rows, most = 0;
      for (int rank = 0; rank < processes; ++rank) {
        const BatchShare share = share_of_batch(rows, rank, processes);
        least = std::min(least, share.count());
        most = std::max(most, share.count());
        for (int64_t i = 0; i < share.count(); ++i) {
          ++seen[static_cast<size_t>(share.row(i))];
          CHECK(share.row(share.count() - 1 - i) == rows - 1 - share.row(i));
        }
      }
      CHECK(std::ranges::all_of(seen, [](int n) { return n == 1; }));
      CHECK(most - least <= 3);
    }
}

TEST_CASE("sums are those of all processes, and a fixed tree adds in its own order") {
  for (const int processes : {1, 2, 3, 5})
    for (const bool tree : {false, true}) {
      const auto value = [](int rank, int64_t i) {
        return std::ldexp(1.0f + 0.37f * static_cast<float>(i % 13), 5 * rank - 9);
      };
      const int64_t count = 1003;
      const Lines errors = run_processes(processes, [&](int rank) {
        add_by_fixed_tree(tree);
        std::vector<float> values(count);
        for (int64_t i = 0; i < count; ++i) values[i] = value(rank, i);
        PendingSum sum = begin_sum(values.data(), count);
        sum.wait();
        for (int64_t i = 0; i < count; ++i) {
          std::vector<float> parts;
          for (int p = 0; p < processes; ++p) parts.push_back(value(p, i));
          for (size_t stride = 1; tree && stride < parts.size(); stride *= 2)
            for (size_t p = 0; p + stride < parts.size(); p += 2 * stride)
              parts[p] += parts[p + stride];
          const float in_order = std::accumulate(parts.begin(), parts.end(), 0.0f);
          if (values[i] != (tree ? parts[0] : in_order)) throw Error("a wrong sum");
        }
        std::string text = rank == 0 ? "from the first" : "";
        broadcast(text);
        if (text != "from the first") throw Error("a wrong text");
        if (largest_of_processes(10 - rank) != 10) throw Error("a wrong largest");
      });
      CHECK(errors == nothing(processes));
    }
}

TEST_CASE("by the fixed tree, f64 has its order too, and no process begins what others do later") {
  const Lines errors = run_processes(4, [](int rank) {
    add_by_fixed_tree(true);
    // (1 + 2^-53) + (2^-53 + 2^-53) is no other order's sum
    double value = rank == 0 ? 1 : std::ldexp(1, -53);
    sum_over_processes(&value, 1);
    if (value != 1 + std::ldexp(1, -52)) throw Error("a wrong order");
    std::array<std::array<float, 9>, 3> values{};
    std::array<PendingSum, 3> sums;
    for (size_t i = 0; i < sums.size(); ++i) {
      values[i].fill(static_cast<float>(i));
      sums[i] = begin_sum(values[i].data(), 9);
      if (rank % 2 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      for (size_t k = 0; rank % 2 == 0 && k <= i; ++k) sums[k].advance();
    }
    for (size_t i = 0; i < sums.size(); ++i) {
      sums[i].wait();
      if (values[i][8] != 4.0f * static_cast<float>(i)) throw Error("a wrong sum");
    }
  });
  CHECK(errors == nothing(4));
}

TEST_CASE("a process that leaves out a call, or makes another, is named") {
  // rank 1 leaves one out and is done
  Lines errors = run_processes(
      3,
      [](int rank) {
        double value = 1;
        sum_over_processes(&value, 1);
        if (rank != 1) sum_over_processes(&value, 1);
      },
      /*stall_limit=*/2);
  for (const int rank : {0, 2})
    CHECK(errors[static_cast<size_t>(rank)].starts_with(
        "rank 1 of 3 (host unknown) has kept the others waiting for 2 s"));
  // another size, another order
  std::array<double, 2> two{};
  errors = run_processes(
      2, [&](int rank) { sum_over_processes(two.data(), 1 + rank); }, 3);
  CHECK((errors[0] + errors[1]).find("came for a sum in f64 of") != std::string::npos);
  errors = run_processes(
      2,
      [](int rank) {
        double value = 0;
        std::string text(8, 'x');
        if (rank == 0) sum_over_processes(&value, 1);
        broadcast(text);
        if (rank == 1) sum_over_processes(&value, 1);
      },
      3);
  // whoever comes second says it
  CHECK((errors[0] + errors[1]).find("came for a broadcast of 8 bytes") != std::string::npos);
  CHECK((errors[0] + errors[1]).find("came for a sum in f64 of 8 bytes") != std::string::npos);
}

TEST_CASE("an error of one process ends the others with its words") {
  const Lines errors = run_processes(3, [](int rank) {
    if (rank == 2) {
      must_say("the disk is full", 3);
      return;
    }
    try {
      double value = 0;
      sum_over_processes(&value, 1);
    } catch (const ProcessLost& lost) {
      if (lost.code() != 3 || speaks_for_all() != (rank == 0)) throw Error("a wrong code");
      must_say("", 0);  // process 0 has spoken, so that rank 2 need not wait
      throw;
    }
  });
  CHECK(errors[0] == "rank 2 of 3 (host unknown): the disk is full");
  CHECK(errors[1] == errors[0]);
}

TEST_CASE("who is told to end while another does not come names it") {
  std::atomic<bool> over = false;
  const Lines errors = run_processes(2, [&](int rank) {
    if (rank == 1) {  // at no call that would answer
      while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      return;
    }
    set_interruption([] { return 15; });
    try {
      double value = 0;
      sum_over_processes(&value, 1);
    } catch (const ProcessLost& lost) {
      over = true;
      if (lost.code() != 143 || !speaks_for_all()) throw Error("a wrong code");
      throw;
    }
  });
  CHECK(errors[0] ==
        "rank 0 of 2 (host unknown) was told to end by signal 15 while it waited for rank 1 of 2 "
        "(host unknown), which does not answer: it died, is cut off, or is busy");
}

TEST_CASE("a process that writes is waited for") {
  const Lines errors = run_processes(
      2,
      [](int rank) {
        double value = 1;
        sum_over_processes(&value, 1);
        if (rank == 0) {
          const KeepsOthersWaiting writing;
          std::this_thread::sleep_for(std::chrono::milliseconds(2500));
        }
        sum_over_processes(&value, 1);
      },
      /*stall_limit=*/1.5);
  CHECK(errors == nothing(2));
}

TEST_CASE("the processes' batches are rows of the batch of one") {
  const Dataset data = counting_dataset(61, 10, 10);
  for (const int64_t parts : {1, 3})
    for (const int64_t repeats : {1, 2}) {
      const int64_t rows = 9;
      LoaderOptions options{
          .batch_size = rows * parts, .image_size = 8, .drop_last = true, .seed = 5};
      options.augment.repeats = repeats;
      options.augment.erase_probability = 0.5f;
      BatchLoader alone(data, options);
      std::vector<std::unique_ptr<BatchLoader>> loaders;
      options.parts = parts;
      for (int rank = 0; rank < 3; ++rank) {
        options.share = share_of_batch(rows, rank, 3);
        loaders.push_back(std::make_unique<BatchLoader>(data, options));
      }
      for (int step = 0; step < 9; ++step) {
        const Batch& whole = alone.next();
        for (int rank = 0; rank < 3; ++rank) {
          const Batch& own = loaders[static_cast<size_t>(rank)]->next();
          const BatchShare share = share_of_batch(rows, rank, 3);
          CHECK(own.size == share.count() * parts);
          for (int64_t part = 0; part < parts; ++part)
            for (int64_t i = 0; i < share.count(); ++i) {
              const int64_t here = part * share.count() + i, there = part * rows + share.row(i);
              CHECK(own.indices[here] == whole.indices[there]);
              CHECK(own.labels[here] == whole.labels[there]);
              CHECK(slice(own.images, 0, here, 1).values() ==
                    slice(whole.images, 0, there, 1).values());
            }
        }
      }
    }
}

TEST_CASE("what is dropped of a row does not depend on who has it") {
  const int64_t rows = 11;
  const Tensor x = random_tensor({rows, 6}, 3, DType::f32);
  const auto pass = [&](const Tensor& own, const BatchShare& share) {
    const ContextGuard training({.training = true, .seed = 4, .step = 7, .share = share});
    return concat({Dropout{0.4}(own), DropPath{0.4}(own)}, 1);
  };
  const Tensor whole = pass(x, {});
  for (int rank = 0; rank < 3; ++rank) {
    const BatchShare share = share_of_batch(rows, rank, 3);
    CHECK(pass(own_rows(x, share), share).values() == own_rows(whole, share).values());
  }
}

TEST_CASE("synchronised batch norms of uneven shares are the batch norm of the whole batch") {
  const int64_t rows = 11, channels = 5;
  const Tensor x = random_tensor({rows, 3, 2, channels}, 1) * 2.0 + 3.0;
  const Tensor dy = random_tensor(x.shape(), 2), residual = random_tensor(x.shape(), 6);
  struct Result {
    Tensor y, dx, dresidual, dgamma, dbeta, mean, var;
  };
  const auto pass = [&](const BatchShare* share, bool relu) {
    const auto part = [&](const Tensor& t) { return share ? own_rows(t, *share) : t; };
    const Tensor in = part(x).leaf(), more = part(residual).leaf();
    const Tensor gamma = random_tensor({channels}, 3).leaf(),
                 beta = random_tensor({channels}, 4).leaf();
    Result r{.mean = Tensor::full({channels}, 0.5, DType::f64),
             .var = Tensor::full({channels}, 2, DType::f64)};
    const BatchNormOptions options{.relu = relu, .synchronised = share != nullptr};
    const Tensor y = batch_norm(in, gamma, beta, r.mean, r.var, options, relu ? more : Tensor{});
    const std::vector<Tensor> inputs =
        relu ? std::vector<Tensor>{in, gamma, beta, more} : std::vector<Tensor>{in, gamma, beta};
    const std::vector<Tensor> grads = grad(y, inputs, {.seed = part(dy)});
    r.y = y.detach(), r.dx = grads[0], r.dgamma = grads[1], r.dbeta = grads[2];
    if (relu) r.dresidual = grads[3];
    return r;
  };
  for (const bool relu : {false, true}) {
    const Result whole = pass(nullptr, relu);
    std::vector<Result> parts(3);
    CHECK(run_processes(3, [&](int rank) {
            const BatchShare share = share_of_batch(rows, rank, 3);
            parts[static_cast<size_t>(rank)] = pass(&share, relu);
          }) == nothing(3));
    Tensor dgamma = Tensor::zeros({channels}, DType::f64),
           dbeta = Tensor::zeros({channels}, DType::f64);
    for (int rank = 0; rank < 3; ++rank) {
      const BatchShare share = share_of_batch(rows, rank, 3);
      const Result& part = parts[static_cast<size_t>(rank)];
      CHECK(max_difference(part.y.values(), own_rows(whole.y, share).values()) < 1e-12);
      CHECK(max_difference(part.dx.values(), own_rows(whole.dx, share).values()) < 1e-12);
      if (relu) CHECK(part.dresidual.values() == own_rows(whole.dresidual, share).values());
      CHECK(max_difference(part.mean.values(), whole.mean.values()) < 1e-12);
      CHECK(max_difference(part.var.values(), whole.var.values()) < 1e-12);
      dgamma = dgamma + part.dgamma, dbeta = dbeta + part.dbeta;
    }
    CHECK(max_difference(dgamma.values(), whole.dgamma.values()) < 1e-11);
    CHECK(max_difference(dbeta.values(), whole.dbeta.values()) < 1e-11);
  }
}

TEST_CASE("a leaf is told once, with all of its gradient, while the pass goes on") {
  std::vector<Tensor> memory;
  const auto leaf = [&](uint64_t seed) {
    memory.push_back(Tensor::full({4}, 1, DType::f64));
    Tensor t = random_tensor({4}, seed).leaf();
    bind_grad(t, memory.back());
    return t;
  };
  const Tensor first = leaf(1), shared = leaf(2), last = leaf(3), unused = leaf(4);
  const auto loss = [&] { return sum(((first * shared) * last) * shared + unused.detach()); };
  std::vector<const void*> told;
  std::vector<std::vector<double>> then;
  backward(loss(), {}, [&](const Tensor& part) {
    told.push_back(part.raw());
    then.push_back(part.values());
  });
  const std::vector<const void*> expected = {memory[2].raw(), memory[0].raw(), memory[1].raw()};
  CHECK(told.size() == 3);
  CHECK(told[0] == expected[0]);
  for (size_t i = 0; i < told.size(); ++i)
    for (const Tensor& m : memory)
      if (std::as_const(m).raw() == told[i]) CHECK(m.values() == then[i]);
  std::vector<std::vector<double>> at_once;
  for (const Tensor& m : memory) at_once.push_back(m.values());
  for (const Tensor& m : memory) fill_(m, 1);
  backward(loss());
  for (size_t i = 0; i < memory.size(); ++i) CHECK(memory[i].values() == at_once[i]);
}

TEST_CASE("buckets of gradients go from the end of the vector, most before the pass is over") {
  std::vector<std::vector<double>> sums(2);
  CHECK(run_processes(2, [&](int rank) {
          const auto model = make_model("resnet", {.classes = 4, .image_size = 8, .seed = 1});
          ParameterStore& store = model->store();
          GradientExchange exchange(store, 1 << 12, 1 << 17);
          if (exchange.bucket_count() < 5) throw Error("too few buckets");
          for (int pass = 0; pass < 2; ++pass) {
            store.zero_gradients();
            exchange.begin();
            const ContextGuard training({.training = true});
            const Tensor x = random_tensor({4, 8, 8, 3}, static_cast<uint64_t>(rank), DType::f32);
            backward(sum((*model)(x)), {}, [&](const Tensor& part) { exchange.whole(part); });
            exchange.finish();
            if (exchange.sent_early() != exchange.bucket_count()) throw Error("a bucket was late");
          }
          sums[static_cast<size_t>(rank)] = store.gradients().values();
        }) == nothing(2));
  CHECK(sums[0] == sums[1]);
  std::vector<double> expected(sums[0].size());
  for (int rank = 0; rank < 2; ++rank) {
    const auto model = make_model("resnet", {.classes = 4, .image_size = 8, .seed = 1});
    const ContextGuard training({.training = true});
    const Tensor x = random_tensor({4, 8, 8, 3}, static_cast<uint64_t>(rank), DType::f32);
    backward(sum((*model)(x)));
    const std::vector<double> own = model->store().gradients().values();
    for (size_t i = 0; i < own.size(); ++i)
      expected[i] =
          static_cast<double>(static_cast<float>(expected[i]) + static_cast<float>(own[i]));
  }
  CHECK(sums[0] == expected);
}

TEST_CASE("evaluation is shared, and says what one process says") {
  RunSettings settings;
  settings.data = "shapes";
  settings.shapes_train = 20, settings.shapes_test = 23;
  const DataSplits data = load_dataset(dataset_request(settings));
  const auto model = make_model("C.C:width=8", {.classes = 10, .image_size = 32, .seed = 2});
  for (const int64_t pictures : {0, 7, 2}) {
    const EvaluationOptions options{.pictures = pictures, .batch_size = 4};
    const Evaluation alone = evaluate(*model, data.test, options);
    for (const int processes : {2, 3})
      CHECK(run_processes(processes, [&](int) {
              const Evaluation shared = evaluate(*model, data.test, options);
              if (shared.count != alone.count || shared.top1 != alone.top1 ||
                  shared.top5 != alone.top5 || std::abs(shared.loss - alone.loss) > 1e-7)
                throw Error("another result");
            }) == nothing(processes));
  }
}

TEST_CASE("parts of a loop are all of it, and joined they are what one process has") {
  for (const int processes : {1, 2, 3})
    for (const int64_t units : {1, 2, 5, 13})
      CHECK(run_processes(processes, [&](int) {
              const SplitsPictures splits;
              const OwnPart part(units);
              double sum = 0;
              int64_t count = 0;
              std::vector<double> numbers;
              Tensor pair = Tensor::zeros({2}, DType::f64), none;
              part.run({}, [&] {
                for (int64_t i = part.begin; i < part.end; ++i) {
                  sum += static_cast<double>(i * i), ++count;
                  numbers.insert(numbers.end(), {static_cast<double>(i), 0.5});
                  pair = pair + Tensor::from({1, static_cast<double>(i)}, {2}, DType::f64);
                }
              });
              part.join(sum), part.join(count), part.append(numbers), part.join(pair);
              part.join(none);
              if (part.split != (processes > 1 && units >= processes)) throw Error("split");
              if (count != units ||
                  sum != static_cast<double>((units - 1) * units * (2 * units - 1) / 6))
                throw Error("a wrong sum");
              if (pair.values() !=
                  std::vector<double>{static_cast<double>(units),
                                      static_cast<double>(units * (units - 1) / 2)})
                throw Error("a wrong tensor");
              for (int64_t i = 0; i < units; ++i)
                if (numbers.at(2 * i) != static_cast<double>(i) || numbers.at(2 * i + 1) != 0.5)
                  throw Error("a wrong order");
            }) == nothing(processes));
}

TEST_CASE("what one process throws in its part of a loop, all throw") {
  const auto model = make_model("C.C:width=8", {.classes = 4, .image_size = 8, .seed = 1});
  const auto throwing = [&](const std::function<void()>& fault) {
    return run_processes(3, [&](int rank) {
      const SplitsPictures splits;
      const OwnPart part(7);
      try {
        part.run({model.get()}, [&] {
          if (rank == 1) fault();
        });
      } catch (const NotFinite& error) {
        throw Error(concat_text(&error.model() == model.get() ? "of the model: " : "of another: ",
                                error.what()));
      } catch (const Interrupted&) {
        throw Error("interrupted");
      }
      throw Error("went on");
    });
  };
  const std::string name = "rank 1 of 3 (host unknown): ";
  CHECK(throwing([] { throw DataError("a spoilt picture"); }) ==
        Lines{name + "a spoilt picture", "a spoilt picture", name + "a spoilt picture"});
  CHECK(throwing([&] { throw NotFinite(*model, "its logits"); }) ==
        Lines(3, "of the model: its logits"));
  CHECK(throwing([] { throw Interrupted(); }) == Lines(3, "interrupted"));
  CHECK(throwing([] {}) == Lines(3, "went on"));
}

TEST_CASE("a loss that is not finite in one process ends the step in all, and names it") {
  const Lines errors = run_processes(2, [](int rank) {
    RunSettings config;
    config.model = "C.C:width=8";
    config.batch_size = 4;
    const auto model = make_model(config.model, {.classes = 5, .image_size = 8, .seed = 3});
    const BatchShare share = share_of_batch(4, rank, 2);
    Optimizer optimizer(model->store(), update_rule(config));
    TrainingStep step(config, *model, optimizer, {}, {.share = share});
    if (rank == 1) fill_(model->store().values(), std::numeric_limits<double>::quiet_NaN());
    const std::vector<double> before = model->store().values().values();
    Batch batch{.labels = {0, 1}, .size = 2};
    batch.images = random_tensor({2, 8, 8, 3}, 1, DType::f32);
    step.run(batch, 4, 0.1);
    if (rank == 0 && model->store().values().values() != before)
      throw Error("weights have changed");
    step.next_result(/*wait=*/true);
  });
  for (const std::string& error : errors) {
    CAPTURE(error);
    CHECK(
        error.starts_with("the loss became nan at step 5 in rank 1 of 2 (host unknown) (lr 0.1)"));
  }
}
