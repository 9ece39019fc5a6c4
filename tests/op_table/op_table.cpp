// The table itself.
#include "tests/op_table/op_table.h"

#include <iterator>

namespace passband::op_table {
namespace {

// In a function, because rows register while the program's constants are being made.
std::vector<Row>& table() {
  static std::vector<Row> instance;
  return instance;
}

}  // namespace

const std::vector<Row>& rows() { return table(); }

Register::Register(std::vector<Row> rows) {
  std::move(rows.begin(), rows.end(), std::back_inserter(table()));
}

}  // namespace passband::op_table
