// The reach of attention: how far a head looks, and how widely it spreads.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "analysis/study/own_part.h"
#include "models/model.h"
#include "nn/tap.h"
#include "tensor/core/tensor.h"

namespace passband {

// What becomes of attention to the class token in a distance between patches.
enum class ClassToken : uint8_t {
  renormalise,  // left out, the rest scaled to 1: a head that looks at the class token does not
                // read as local
  drop,         // left out without scaling, as in the public script: such mass counts as distance 0
};

// Mean attention distance of each head of one layer (Dosovitskiy et al., ICLR 2021, figure 11;
// Raghu et al., NeurIPS 2021):
//   d_h = mean over pictures and query patches i of  sum_j A_ij |p_i - p_j|_2  in input pixels,
//   centre to centre.
// Shifted windows are measured in the unrolled picture; pairs that a shift masks have A = 0. Rows
// need not be normalised: with `renormalise`, |weights| of a lambda layer can be measured too.
// Time: T^2 per head, window and picture, on the device. Memory: a table of T^2 distances, of H W T
// for each head where there are windows, and a number for each picture and head.
class AttentionDistance {
 public:
  explicit AttentionDistance(ClassToken class_token = ClassToken::renormalise)
      : class_token_(class_token) {}
  void add(const TapSite& site, const Tensor& weights);  // (N * windows, heads, T, T), not negative
  void join(const OwnPart& part);                        // with those of other processes
  std::vector<double> distances() const;                 // per head, pixels
  // pictures x heads, row-major, pixels
  const std::vector<double>& of_pictures() const { return pictures_; }
  std::vector<double> class_mass() const;  // per head, share in [0, 1]

 private:
  ClassToken class_token_;
  Tensor table_;                   // grid steps between tokens
  Tensor grid_keys_, class_keys_;  // (T): 1 for those tokens, else 0
  std::vector<double> pictures_;   // pictures x heads, pixels
  Tensor mass_;                    // (heads) f64, sums
  double count_ = 0;
};

// Distance of two tokens of uniform attention over an n x n grid (itself included), in grid steps:
// what a head that ignores position shows. 14 x 14 patches of 16 px: 116.4922 px.
double uniform_distance(int64_t n);

// Entropy of attention, - sum_j A_ij ln A_ij in nats over all keys, mean over pictures and queries,
// per head. exp of it is the effective number of tokens a query gathers from: T for uniform
// attention, 1 for a single one. Time: T^2 logarithms per head, window and picture. Memory: one
// number a head.
class AttentionEntropy {
 public:
  void add(const TapSite& site, const Tensor& probabilities);  // (N * windows, heads, T, T)
  void join(const OwnPart& part);
  std::vector<double> entropy() const;  // per head, queries of the grid
  // per head, queries of prefix tokens; empty without any
  std::vector<double> class_entropy() const;
  int64_t keys() const {
    return keys_;
  }  // that a query chooses from; ln keys() is the largest entropy

 private:
  Tensor grid_, class_;  // (heads) f64, sums
  double grid_count_ = 0, class_count_ = 0;
  int64_t keys_ = 0;
};

// Why a network shows no attention probabilities, as a sentence.
std::string why_no_attention(const std::string& label, const Model& model);

}  // namespace passband
