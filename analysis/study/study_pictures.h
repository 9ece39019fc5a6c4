// The pictures of a study: those that its first network was trained on or that the command line
// names, shown as the network knows them, under the classes that it knows.
#pragma once
#include <string>
#include <vector>

#include "analysis/study/study.h"

namespace passband {

// Puts them into the study, prepared. Throws UsageError and DataError, one line each, for pictures
// that are not there, that are not those of the run, or whose classes the network does not know.
void show_pictures_of_run(Study& study, const StudyRequest& request, const RunDescription& run);
// The same for a file of weights. Returns what its network is made for: classes and size.
DatasetInfo show_pictures_of_file(Study& study, const StudyRequest& request);

// All networks of a study know the same classes, by name. Throws UsageError for one, `name`, that
// knows others.
void check_classes(const std::string& name, const std::vector<std::string>& known,
                   const Study& study);

}  // namespace passband
