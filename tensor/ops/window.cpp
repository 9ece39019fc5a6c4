// How window geometry reads in messages.
#include "tensor/ops/window.h"

namespace passband {

std::ostream& operator<<(std::ostream& out, const PerAxis& numbers) {
  if (numbers.height == numbers.width) return out << numbers.height;
  return out << "(" << numbers.height << ", " << numbers.width << ")";
}

std::ostream& operator<<(std::ostream& out, const Padding& p) {
  if (p.top == p.bottom && p.left == p.right) return out << PerAxis(p.top, p.left);
  return out << "(top " << p.top << ", bottom " << p.bottom << ", left " << p.left << ", right "
             << p.right << ")";
}

}  // namespace passband
