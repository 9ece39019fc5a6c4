# Writes OUT, which defines source_digest(): 16 digits of the SHA-256 of FILES.
set(all "")
foreach(file IN LISTS FILES)
  file(SHA256 ${file} digest)
  string(APPEND all "${file} ${digest}\n")
endforeach()
string(SHA256 digest "${all}")
string(SUBSTRING ${digest} 0 16 digest)
file(WRITE ${OUT} "// Made of the project's files by .cmake/source_digest.cmake.
#include \"analysis/study/source_digest.h\"

namespace passband {

std::string_view source_digest() { return \"${digest}\"; }

}  // namespace passband
")
