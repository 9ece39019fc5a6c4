// The steps of a data-parallel training on any number of ranks: each computes, sends bucket after
// bucket as their gradients become whole, and goes on when all sums are there. A rank and a message
// are simulated one by one.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace passband::scale {

// What a rank computes in a step, in seconds.
struct StepWork {
  double forward = 0;
  // From the beginning of the backward pass to when a bucket may be sent, by bucket, rising.
  std::vector<double> ready;
  double backward = 0;   // the whole pass
  double optimiser = 0;  // after the sums have come

  double compute() const { return forward + backward + optimiser; }
};

// A message of n bytes takes latency + n / bandwidth; a rank sends and receives one at a time, both
// at once.
struct Link {
  double latency = 0;    // seconds
  double bandwidth = 0;  // bytes a second
  double seconds(double bytes) const { return latency + bytes / bandwidth; }
};

// ring: 2 (p - 1) rounds in which everyone sends a p-th to the next one (Patarasuk & Yuan 2009,
//   doi 10.1016/j.jpdc.2008.09.002): 2 (p - 1) (a + n / (p b)).
// tree: halving, then doubling, between ranks whose numbers differ in one bit (Thakur, Rabenseifner
//   & Gropp 2005, doi 10.1177/1094342005051521): 2 log2(p) a + 2 (p - 1) / p n / b; ranks beyond
//   the greatest power of two first give all they have to another, and get it back.
// hierarchical: a ring within each host leaves a part of the host's sum with each rank, the ranks
//   that have the same part add it up by a ring between hosts, and a ring within the host collects.
// binomial: whole vectors are added up along a binomial tree and sent back: 2 ceil(log2 p) (a + n /
// b);
//   what Open MPI 4.1 does for MPI_Iallreduce in place.
enum class Algorithm : uint8_t { ring, tree, hierarchical, binomial };

struct Cluster {
  int64_t ranks = 1;
  int64_t per_host = 1;  // of hierarchical: divides ranks
  Algorithm algorithm = Algorithm::ring;
  Link network;      // between hosts; of ring and tree: between all
  Link within_host;  // of hierarchical
  // Mean of the share by which a rank is late in a step, exponentially distributed, anew for each.
  double jitter = 0;
};

// The times at which the ranks may begin with a sum of so many bytes become those at which each has
// it.
void all_reduce(const Cluster& cluster, double bytes, std::vector<double>& times);

struct StepTimes {
  double mean = 0, deviation = 0;  // seconds of a step, over steps
  double exposed = 0;              // mean of what a rank waits for sums after its backward pass
  double exchanging = 0;           // mean of the time in which a sum of a rank is under way
  double efficiency = 0;           // mean time of a step without others, as a share of `mean`
};

// `bytes`: of the buckets. The sums are one after the other.
StepTimes simulate(const Cluster& cluster, const StepWork& work, const std::vector<double>& bytes,
                   int64_t steps, uint64_t seed);

}  // namespace passband::scale
