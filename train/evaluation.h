// Accuracy and loss of a network on a data set.
#pragma once
#include <optional>
#include <string>

#include "data/dataset.h"
#include "models/model.h"
#include "models/run_settings.h"
#include "train/resident_pictures.h"

namespace passband {

struct Accuracy {
  double loss = 0;            // mean cross-entropy, nats
  double top1 = 0, top5 = 0;  // shares in [0, 1]; top5 is 1 below six classes
};

struct Evaluation : Accuracy {
  int64_t count = 0;
  std::optional<Accuracy> views;  // of logits averaged over views (train/views.h), where asked for
};

struct EvaluationOptions {
  int64_t pictures = 0;  // as many as this, the same ones in every run; 0: all
  int64_t batch_size = 500;
  DType compute = DType::f32;  // of activations
  TtaKind tta = TtaKind::none;
  // the data set on the model's device: batches are made there
  ResidentPictures* resident = nullptr;
};

// " (92.10 % with TTA)" behind the plain accuracy; empty where no views were asked for.
std::string over_views(const Evaluation& evaluation);

// Several processes share the pictures, and each gets the numbers of all. Evaluation mode, no
// graph. The host waits for a device once, at the end.
Evaluation evaluate(const Model& model, const Dataset& dataset, const EvaluationOptions& options);

}  // namespace passband
