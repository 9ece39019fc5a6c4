// The backend of MPI. It is a module that the programs load when a launcher of MPI has started
// them, so that they run where there is no MPI too, and with either of two implementations.
#include <mpi.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <list>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tensor/core/collective_backend.h"

namespace passband {
namespace {

void check(int error, const char* what) {
  if (error == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(error, text.data(), &length);
  throw std::runtime_error(std::string(what) + ": " + std::string(text.data(), length));
}

MPI_Comm own_communicator() {
  MPI_Comm made = MPI_COMM_NULL;
  check(MPI_Comm_dup(MPI_COMM_WORLD, &made), "MPI_Comm_dup");
  check(MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return made;
}

class Mpi final : public CollectiveBackend {
 public:
  Mpi() : sums_(own_communicator()), notes_(own_communicator()) {
    MPI_Comm_rank(sums_, &rank_);
    MPI_Comm_size(sums_, &size_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  // From a copy: in place, Open MPI sends whole vectors along a binomial tree, else parts.
  Transfer begin_sum(float* values, int64_t count) override {
    auto operation = std::make_unique<Operation>();
    operation->summands.assign(values, values + count);
    check(MPI_Iallreduce(operation->summands.data(), values, static_cast<int>(count), MPI_FLOAT,
                         MPI_SUM, sums_, &operation->request),
          "MPI_Iallreduce");
    return operation.release();
  }
  Transfer begin_sum(double* values, int64_t count) override {
    return begin([&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, values, static_cast<int>(count), MPI_DOUBLE, MPI_SUM,
                            sums_, request);
    });
  }
  Transfer begin_broadcast(void* bytes, int64_t count) override {
    return begin([&](MPI_Request* request) {
      return MPI_Ibcast(bytes, static_cast<int>(count), MPI_BYTE, 0, sums_, request);
    });
  }
  Transfer begin_exchange(const float* from, float* to, int64_t each) override {
    return begin([&](MPI_Request* request) {
      return MPI_Ialltoall(from, static_cast<int>(each), MPI_FLOAT, to, static_cast<int>(each),
                           MPI_FLOAT, sums_, request);
    });
  }
  Transfer begin_gather(const float* own, float* to, int64_t each) override {
    return begin([&](MPI_Request* request) {
      return MPI_Iallgather(own, static_cast<int>(each), MPI_FLOAT, to, static_cast<int>(each),
                            MPI_FLOAT, sums_, request);
    });
  }
  bool has_ended(Transfer transfer) override {
    if (!transfer) return true;
    const auto operation = static_cast<Operation*>(transfer);
    int done = 0;
    check(MPI_Test(&operation->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done) delete operation;
    return done != 0;
  }

  void post(int to, const std::string& note) override {
    drop_sent();
    Sent& sent = sent_.emplace_back(Sent{note, MPI_REQUEST_NULL});
    check(MPI_Isend(sent.note.data(), static_cast<int>(sent.note.size()), MPI_BYTE, to, 0, notes_,
                    &sent.request),
          "MPI_Isend");
  }
  int receive(std::string& note) override {
    drop_sent();
    int there = 0, bytes = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, 0, notes_, &there, &status), "MPI_Iprobe");
    if (!there) return -1;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    note.resize(static_cast<size_t>(bytes));
    check(MPI_Recv(note.data(), bytes, MPI_BYTE, status.MPI_SOURCE, 0, notes_, MPI_STATUS_IGNORE),
          "MPI_Recv");
    return status.MPI_SOURCE;
  }

  void leave() override { MPI_Finalize(); }
  void end_all(int code) override {
    MPI_Abort(MPI_COMM_WORLD, code);
    std::_Exit(code);
  }

 private:
  struct Sent {
    std::string note;
    MPI_Request request;
  };

  struct Operation {
    MPI_Request request = MPI_REQUEST_NULL;
    std::vector<float> summands = {};
  };

  template <class Call> Transfer begin(const Call& call) {
    auto operation = std::make_unique<Operation>();
    check(call(&operation->request), "MPI");
    return operation.release();
  }
  void drop_sent() {
    std::erase_if(sent_, [](Sent& sent) {
      int done = 0;
      MPI_Test(&sent.request, &done, MPI_STATUS_IGNORE);
      return done != 0;
    });
  }

  MPI_Comm sums_, notes_;
  int rank_ = 0, size_ = 1;
  std::list<Sent> sent_;
};

}  // namespace
}  // namespace passband

extern "C" {

[[gnu::visibility("default")]] passband::CollectiveBackend* passband_join() {
  int provided = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
    throw std::runtime_error("MPI_Init_thread failed");
  if (provided < MPI_THREAD_FUNNELED)
    throw std::runtime_error("this MPI takes no program of several threads");
  return new passband::Mpi;
}

[[gnu::visibility("default")]] const char* passband_library() {
  static std::string text = [] {
    std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> version{};
    int length = 0;
    MPI_Get_library_version(version.data(), &length);
    // "Open MPI v4.1.4, package: ..."; "MPICH Version:\t4.0.2\nMPICH Release date: ..."
    std::string line(version.data(), static_cast<size_t>(length));
    line.resize(std::min(line.size(), line.find_first_of(",\n")));
    for (const std::string& filler : {std::string(" Version:"), std::string(" v")})
      if (const size_t at = line.find(filler); at != std::string::npos)
        line.replace(at, filler.size(), " ");
    std::erase(line, '\t');
    while (!line.empty() && (line.back() == '\0' || line.back() == ' ')) line.pop_back();
    return line;
  }();
  return text.c_str();
}
}
