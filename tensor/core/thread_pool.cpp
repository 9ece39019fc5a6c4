// The pool: callers post their work, and threads that are free enter it.
#include "tensor/core/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace passband {
namespace {

// A wake-up takes about as long: who waits less should not sleep, and who waits longer has lost
// little.
constexpr auto kSpin = std::chrono::microseconds(50);

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits for ready() for about kSpin; whether it came.
template <class Ready> bool spin_for(const Ready& ready) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      pause_briefly();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

thread_local bool within_work = false;

struct Job {
  ThreadWork work;
  int open;                         // workers that may still enter
  std::atomic<int> working{0};      // workers that are in it
  std::exception_ptr failure = {};  // of one of the calls

  // What the call threw.
  std::exception_ptr call() const {
    within_work = true;
    std::exception_ptr thrown;
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
    within_work = false;
    return thrown;
  }
};

class ThreadPool {
 public:
  void run(int threads, ThreadWork work) {
    Job job{work, threads - 1};
    {
      const std::lock_guard lock(mutex_);
      start_workers(threads - 1);
      jobs_.push_back(&job);
      epoch_.fetch_add(1, std::memory_order_release);
      if (sleeping_ > 0) wake_.notify_all();
    }
    const std::exception_ptr thrown = job.call();
    {
      const std::lock_guard lock(mutex_);
      std::erase(jobs_, &job);
    }
    const auto done = [&] { return job.working.load(std::memory_order_acquire) == 0; };
    if (!spin_for(done)) {
      std::unique_lock lock(mutex_);
      done_.wait(lock, done);
    }
    if (thrown) std::rethrow_exception(thrown);
    if (job.failure) std::rethrow_exception(job.failure);
  }

 private:
  // As many as the system lets have: the calling thread can do all of it.
  void start_workers(int wanted) {
    if (workers_ >= wanted || refused_) return;
    sigset_t all, before;
    sigfillset(&all);  // signals are for the threads of the program
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      for (; workers_ < wanted; ++workers_) std::thread([this] { work(); }).detach();
    } catch (const std::exception&) {
      refused_ = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  Job* enter() {
    const auto job = std::find_if(jobs_.begin(), jobs_.end(), [](Job* j) { return j->open > 0; });
    if (job == jobs_.end()) return nullptr;
    --(*job)->open;
    (*job)->working.fetch_add(1, std::memory_order_relaxed);
    return *job;
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (Job* job = enter()) {
        lock.unlock();
        std::exception_ptr thrown = job->call();
        lock.lock();
        if (thrown) job->failure = std::move(thrown);
        // The caller may go on, and the job be gone, from here on.
        if (job->working.fetch_sub(1, std::memory_order_release) == 1) done_.notify_all();
        continue;
      }
      const unsigned seen = epoch_.load(std::memory_order_relaxed);
      const auto news = [&] { return epoch_.load(std::memory_order_acquire) != seen; };
      lock.unlock();
      const bool came = spin_for(news);
      lock.lock();
      if (came) continue;
      ++sleeping_;
      wake_.wait(lock, news);
      --sleeping_;
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<Job*> jobs_;  // those that threads may enter
  std::atomic<unsigned> epoch_{0};
  int workers_ = 0, sleeping_ = 0;
  bool refused_ = false;
};

// It is never destroyed: its threads may outlive what the program destroys as it ends.
ThreadPool& pool() {
  static auto* const instance = new ThreadPool;
  return *instance;
}

}  // namespace

void on_threads(int threads, ThreadWork work) {
  if (threads <= 1 || within_work) return work();
  pool().run(threads, work);
}

bool on_thread_of_pool() { return within_work; }

}  // namespace passband
