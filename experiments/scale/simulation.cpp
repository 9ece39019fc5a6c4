#include "experiments/scale/simulation.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tensor/core/error.h"
#include "tensor/core/random.h"

namespace passband::scale {
namespace {

// Of `count` ranks, first, first + stride, ...: `rounds` in which each sends `bytes` to the next
// one and goes on when it has those of the one before.
void ring_rounds(std::vector<double>& times, int64_t first, int64_t stride, int64_t count,
                 int64_t rounds, const Link& link, double bytes) {
  if (count < 2) return;
  const double message = link.seconds(bytes);
  std::vector<double> before(static_cast<size_t>(count)), after(before);
  const auto time = [&](int64_t i) -> double& {
    return times[static_cast<size_t>(first + i * stride)];
  };
  for (int64_t i = 0; i < count; ++i) before[static_cast<size_t>(i)] = time(i);
  for (int64_t round = 0; round < rounds; ++round) {
    for (int64_t i = 0; i < count; ++i) {
      const double own = before[static_cast<size_t>(i)];
      const double other = before[static_cast<size_t>((i + count - 1) % count)];
      after[static_cast<size_t>(i)] = std::max(own, other) + message;
    }
    std::swap(before, after);
  }
  for (int64_t i = 0; i < count; ++i) time(i) = before[static_cast<size_t>(i)];
}

// Both have what they exchange at the same time.
void exchange(double& one, double& other, double seconds) {
  one = other = std::max(one, other) + seconds;
}

void tree(std::vector<double>& times, const Link& link, double bytes) {
  const auto count = static_cast<int64_t>(times.size());
  const auto power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(count)));
  const auto time = [&](int64_t rank) -> double& { return times[static_cast<size_t>(rank)]; };
  for (int64_t rank = power; rank < count; ++rank)
    time(rank - power) = std::max(time(rank - power), time(rank)) + link.seconds(bytes);
  const auto round = [&](int64_t distance, double part) {
    for (int64_t rank = 0; rank < power; ++rank)
      if ((rank & distance) == 0) exchange(time(rank), time(rank | distance), link.seconds(part));
  };
  double part = bytes / 2;
  for (int64_t distance = power / 2; distance >= 1; distance /= 2, part /= 2) round(distance, part);
  part = bytes / static_cast<double>(power);
  for (int64_t distance = 1; distance < power; distance *= 2, part *= 2) round(distance, part);
  for (int64_t rank = power; rank < count; ++rank)
    time(rank) = time(rank - power) += link.seconds(bytes);
}

void hierarchical(const Cluster& c, std::vector<double>& times, double bytes) {
  const int64_t hosts = c.ranks / c.per_host;
  const double part = bytes / static_cast<double>(c.per_host);
  const auto within = [&] {
    for (int64_t host = 0; host < hosts; ++host)
      ring_rounds(times, host * c.per_host, 1, c.per_host, c.per_host - 1, c.within_host, part);
  };
  within();
  for (int64_t i = 0; i < c.per_host; ++i)
    ring_rounds(times, i, c.per_host, hosts, 2 * (hosts - 1), c.network,
                part / static_cast<double>(hosts));
  within();
}

void binomial(std::vector<double>& times, const Link& link, double bytes) {
  const auto count = static_cast<int64_t>(times.size());
  const double message = link.seconds(bytes);
  const auto time = [&](int64_t rank) -> double& { return times[static_cast<size_t>(rank)]; };
  const auto pairs = [&](int64_t distance, const auto& send) {
    for (int64_t rank = 0; rank + distance < count; rank += 2 * distance)
      send(time(rank), time(rank + distance));
  };
  const auto last = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count)) / 2);
  for (int64_t distance = 1; distance <= last; distance *= 2)
    pairs(distance, [&](double& to, double& from) { to = std::max(to, from) + message; });
  for (int64_t distance = last; distance >= 1; distance /= 2)
    pairs(distance, [&](double& from, double& to) {
      from += message;  // who sends to several does so one by one
      to = from;
    });
}

}  // namespace

void all_reduce(const Cluster& c, double bytes, std::vector<double>& times) {
  CHECK(std::ssize(times) == c.ranks, "all_reduce: ", times.size(), " times of ", c.ranks,
        " ranks");
  if (c.ranks == 1) return;
  switch (c.algorithm) {
    case Algorithm::ring:
      return ring_rounds(times, 0, 1, c.ranks, 2 * (c.ranks - 1), c.network,
                         bytes / static_cast<double>(c.ranks));
    case Algorithm::tree: return tree(times, c.network, bytes);
    case Algorithm::hierarchical: return hierarchical(c, times, bytes);
    case Algorithm::binomial: return binomial(times, c.network, bytes);
  }
}

StepTimes simulate(const Cluster& c, const StepWork& work, const std::vector<double>& bytes,
                   int64_t steps, uint64_t seed) {
  CHECK(bytes.size() == work.ready.size(), "simulate: ", bytes.size(), " buckets, of which ",
        work.ready.size(), " become ready");
  const auto ranks = static_cast<size_t>(c.ranks);
  RandomSequence random({seed, 0, site_of("scale")});
  std::vector<double> now(ranks, 0.0), slowness(ranks), sums(ranks), backward(ranks);
  StepTimes result;
  double last = 0, squares = 0;
  for (int64_t step = 0; step < steps; ++step) {
    for (double& s : slowness) s = 1 - c.jitter * std::log1p(-random.uniform());
    for (size_t r = 0; r < ranks; ++r)
      backward[r] = now[r] + slowness[r] * (work.forward + work.backward);
    for (size_t k = 0; k < bytes.size(); ++k) {
      for (size_t r = 0; r < ranks; ++r) {
        const double ready = now[r] + slowness[r] * (work.forward + work.ready[k]);
        sums[r] = k == 0 ? ready : std::max(sums[r], ready);
        result.exchanging -= sums[r];
      }
      all_reduce(c, bytes[k], sums);
      for (const double sum : sums) result.exchanging += sum;
    }
    for (size_t r = 0; r < ranks; ++r) {
      const double whole = bytes.empty() ? backward[r] : std::max(backward[r], sums[r]);
      result.exposed += whole - backward[r];
      now[r] = whole + slowness[r] * work.optimiser;
    }
    const double end = *std::ranges::max_element(now), took = end - last;
    last = end;
    result.mean += took;
    squares += took * took;
  }
  const auto count = static_cast<double>(steps);
  result.mean /= count;
  result.deviation = std::sqrt(std::max(0.0, squares / count - result.mean * result.mean));
  result.exposed /= count * static_cast<double>(c.ranks);
  result.exchanging /= count * static_cast<double>(c.ranks);
  result.efficiency = work.compute() * (1 + c.jitter) / result.mean;
  return result;
}

}  // namespace passband::scale
