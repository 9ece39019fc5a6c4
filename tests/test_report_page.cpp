// The report directory: the page, its security policy, stored sections, the summary.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "analysis/report/drawing_check.h"
#include "analysis/report/file_lock.h"
#include "analysis/report/page.h"
#include "analysis/report/report.h"
#include "tensor/core/error.h"
#include "tensor/core/file.h"
#include "tests/test_report_demo.h"
#include "tests/test_report_xml.h"

using namespace passband;
namespace fs = std::filesystem;

namespace {

// An empty directory that vanishes with the test.
class Scratch {
 public:
  Scratch() : path_(fs::temp_directory_path() / ("passband-report-" + std::to_string(::getpid()))) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Scratch() { fs::remove_all(path_); }
  std::string operator()(const std::string& name = {}) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

Section small_section(const std::string& name, double value) {
  plot::Panel panel;
  panel.lines = {{.name = "a", .x = {0, 1}, .y = {0, value}}};
  return {.name = name,
          .title = "Section " + name,
          .question = "Why " + name + "?",
          .figures = {{.name = name, .title = "Figure of " + name, .panels = {panel}}},
          .finding = "Found " + name,
          .values = {{.key = "v", .label = "Value", .value = value}},
          .key = "key-of-" + name};
}

nlohmann::json summary_of(const Scratch& scratch) {
  return nlohmann::json::parse(read_file(scratch("summary.json")));
}

}  // namespace

TEST_CASE("a report with every figure is one well-formed page that refers to nothing outside") {
  const Scratch scratch;
  Report report(demo::header());
  for (Section& section : demo::sections()) report.add(std::move(section));
  report.write(scratch());

  const std::string page = read_file(scratch("index.html"));
  CHECK(demo::XmlChecker(page, true).problem() == "");
  CHECK(page.find("<html lang=\"en\">") != std::string::npos);
  CHECK(page.find("default-src 'none'") != std::string::npos);
  for (const char* outside : {"src=\"http", "href=\"http", "url(http", "@import", "src=\"figures"})
    CHECK_MESSAGE(page.find(outside) == std::string::npos, outside);
  for (const Section& section : demo::sections()) {
    CHECK(page.find("id=\"" + section.name + "\"") != std::string::npos);
    for (const plot::Figure& figure : section.figures)
      for (const char* suffix : {".svg", ".csv"})
        CHECK(fs::is_regular_file(scratch("figures/" + figure.name + suffix)));
  }
  CHECK(read_file(scratch("data/cka-self.npy")).size() == 128 + 72 * 72 * 8);
}

TEST_CASE("an independent XML parser accepts the drawings") {
  if (std::system("python3 -c pass 2>/dev/null") != 0) return;
  const Scratch scratch;
  Report report(demo::header());
  for (Section& section : demo::sections()) report.add(std::move(section));
  report.write(scratch());
  const std::string command =
      "python3 -c \"import sys, glob, xml.dom.minidom as m; "
      "[m.parse(f) for f in glob.glob(sys.argv[1] + '/*.svg')]\" " +
      scratch("figures");
  CHECK(std::system(command.c_str()) == 0);
}

TEST_CASE(
    "script and style are allowed by the hashes that the "
    "policy names, and nothing else is inline") {
  const std::string page = render_page({.title = "t"}, {});
  CHECK(page.find("unsafe-inline") == std::string::npos);
  CHECK(page.find(" style=\"") == std::string::npos);
  CHECK(page.find(" onload=") == std::string::npos);
  if (std::system("python3 -c pass 2>/dev/null") != 0) return;
  const Scratch scratch;
  write_file_atomically(scratch("page.html"), page);
  // Recomputes both hashes with Python's hashlib from the page as a browser sees it.
  write_file_atomically(
      scratch("check.py"),
      "import base64, hashlib, re, sys\n"
      "page = open(sys.argv[1], encoding='utf-8').read()\n"
      "policy = re.search('Security-Policy\" content=\"([^\"]*)', page).group(1)\n"
      "for tag in ('style', 'script'):\n"
      "    body = re.search('<%s>(.*?)</%s>' % (tag, tag), page, re.S).group(1)\n"
      "    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()\n"
      "    assert \"%s-src 'sha256-%s'\" % (tag, digest) in policy, tag\n");
  CHECK(std::system(("python3 " + scratch("check.py") + " " + scratch("page.html")).c_str()) == 0);
}

TEST_CASE(
    "a section of other weights is marked as stale, and again itself once it is computed anew") {
  const Scratch scratch;
  Section kept = small_section("kept", 1);
  kept.values[0].headline = true;
  Report before({.title = "before"});
  before.add(kept);
  before.write(scratch());
  CHECK(read_file(scratch("index.html")).find("Stale.") == std::string::npos);

  Report after({.title = "after", .stale = {"kept"}});
  after.add(small_section("fresh", 2));
  after.write(scratch());
  const std::string page = read_file(scratch("index.html"));
  CHECK(demo::XmlChecker(page, true).problem() == "");
  CHECK(page.find("Section kept</a> <b>Stale.</b>") != std::string::npos);
  CHECK(page.find("Section fresh</a></li>") != std::string::npos);
  CHECK(page.find("Computed from other weights") < page.find("Figure of kept"));
  CHECK(page.find("<table class=\"claims\">") == std::string::npos);
  CHECK(summary_of(scratch)["sections"]["kept"]["stale"] == true);
  CHECK(!summary_of(scratch)["sections"]["fresh"].contains("stale"));
  CHECK(summary_of(scratch)["headline"].empty());

  after.add(kept);
  after.write(scratch());
  CHECK(read_file(scratch("index.html")).find("Stale.") == std::string::npos);
  CHECK(summary_of(scratch)["headline"].size() == 1);
}

TEST_CASE("sections have two digits, the glossary twenty terms, and costs are not told") {
  const Scratch scratch;
  Report report({.title = "t"});
  for (const char* name : {"one", "two"}) report.add(small_section(name, 1));
  report.write(scratch());
  const std::string page = read_file(scratch("index.html"));
  CHECK(page.find("<span class=\"index\">01</span>Section one") != std::string::npos);
  CHECK(page.find("<span class=\"index\">02</span>Section two") != std::string::npos);
  CHECK(page.find("Cost") == std::string::npos);
  size_t terms = 0;
  for (size_t at = page.find("<dfn>"); at != std::string::npos; at = page.find("<dfn>", at + 1))
    ++terms;
  CHECK(terms == 20);
}

TEST_CASE("a picture that many figures show is on the page once") {
  Section section = small_section("maps", 1);
  section.figures[0].panels.clear();
  plot::Picture picture{.width = 2, .height = 2, .rgb = std::vector<uint8_t>(12, 90)};
  picture.overlay_width = picture.overlay_height = 2;
  for (const double first : {0.25, 0.5, 0.75}) {
    picture.overlay = {first, 1, 0, 0.125};
    section.figures[0].pictures.cells.push_back(picture);
  }
  const std::string page = render_page({.title = "t"}, {drawn(section)});
  CHECK(demo::XmlChecker(page, true).problem() == "");
  size_t rules = 0, maps = 0;
  for (size_t at = page.find("{background-image:"); at != std::string::npos;
       at = page.find("{background-image:", at + 1))
    ++rules;
  for (size_t at = page.find("class=\"heat\""); at != std::string::npos;
       at = page.find("class=\"heat\"", at + 1))
    ++maps;
  CHECK(rules == 1);
  CHECK(maps == 3);
}

TEST_CASE("hostile text stays text everywhere on the page") {
  const std::string evil = "<script>alert('x')</script>\"><img src=x onerror=y>";
  const Scratch scratch;
  Section section = small_section("evil", 1);
  section.title = section.question = section.reading = section.finding = evil;
  section.caveats = {evil, evil};
  section.values = {{.key = evil, .label = evil, .text = evil, .detail = evil, .headline = true}};
  section.figures[0].title = section.figures[0].alt = section.figures[0].panels[0].lines[0].name =
      evil;
  Report report({.title = evil,
                 .subtitle = evil,
                 .answer = evil,
                 .headline = {{.label = evil, .text = evil}},
                 .runs = {{evil, {{evil, evil}}}, {"b", {{"k", evil}}}},
                 .commands = {evil}});
  report.add(section);
  report.write(scratch());
  const std::string page = read_file(scratch("index.html"));
  CHECK(demo::XmlChecker(page, true).problem() == "");
  CHECK(page.find("<script>alert") == std::string::npos);
  CHECK(page.find("<img") == std::string::npos);
}

TEST_CASE("a second call adds to the report and replaces sections of the same name") {
  const Scratch scratch;
  Report first({.title = "t"});
  first.add(small_section("one", 1));
  first.add(small_section("two", 2));
  first.write(scratch());
  Report second({.title = "t", .order = {"two", "none", "one"}});
  second.add(small_section("two", 22));
  second.add(small_section("three", 3));
  second.write(scratch());

  const auto sections = summary_of(scratch)["sections"];
  CHECK(sections.size() == 3);
  CHECK(sections["one"]["values"]["v"] == 1);
  CHECK(sections["two"]["values"]["v"] == 22);
  CHECK(sections["three"]["finding"] == "Found three");
  const std::string page = read_file(scratch("index.html"));
  CHECK(page.find("id=\"two\"") < page.find("id=\"one\""));  // as the header has them
  CHECK(page.find("id=\"one\"") < page.find("id=\"three\""));
  CHECK(page.find("Figure of one") != std::string::npos);
}

TEST_CASE("a report may be written after every section, and into a second directory whole") {
  const Scratch scratch;
  Report report({.title = "t"});
  for (const char* name : {"one", "two"}) {
    report.add(small_section(name, 1));
    report.write(scratch("a"));
  }
  report.add(small_section("one", 11));
  report.write(scratch("a"));
  report.write(scratch("b"));
  for (const char* directory : {"a/", "b/"}) {
    const auto sections = nlohmann::json::parse(
        read_file(scratch(directory + std::string("summary.json"))))["sections"];
    CHECK(sections["one"]["values"]["v"] == 11);
    CHECK(sections["two"]["values"]["v"] == 1);
    CHECK(fs::is_regular_file(scratch(directory + std::string("figures/two.svg"))));
  }
}

TEST_CASE("a figure name belongs to one section") {
  const Scratch scratch;
  Report report({.title = "t"});
  report.add(small_section("one", 1));
  Section other = small_section("two", 2);
  other.figures[0].name = "one";
  report.add(other);
  CHECK_THROWS_WITH_AS(report.write(scratch()), doctest::Contains("figure 'one' is in section"),
                       Error);
}

TEST_CASE("stored keys tell which sections may be reused") {
  const Scratch scratch;
  Report report({.title = "t"});
  report.add(small_section("one", 1));
  report.write(scratch());
  CHECK(stored_key(scratch(), "one") == "key-of-one");
  CHECK(!stored_key(scratch(), "two"));
  CHECK(!stored_key(scratch("nowhere"), "one"));
}

TEST_CASE("a section that cannot be read is passed over and named in one short line") {
  const Scratch scratch;
  Report report({.title = "t"});
  for (const char* name : {"one", "two"}) report.add(small_section(name, 1));
  report.write(scratch());
  const std::string file = scratch("sections/one.json"), whole = read_file(file);
  CHECK(damaged_pieces(scratch()).empty());
  const auto replaced = [&](std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  const std::string damages[] = {
      "",
      "no",
      "[1]",
      whole.substr(0, whole.size() / 2),
      R"({"format": 99})",
      replaced(whole, "\"format\":2", "\"format\":\"x\""),
      replaced(whole, "\"title\":\"Section one\"", "\"title\":7"),
      replaced(whole, "\"name\":\"one\",\"title\"", "\"name\":\"two\",\"title\""),
      replaced(whole, "<svg", "<script>alert(1)</script><svg"),
      replaced(whole, "<rect", "<rect onload=\\\"alert(1)\\\""),
      replaced(whole, "<svg", "<a href=\\\"https://example.org\\\"></a><svg"),
      replaced(whole, "</svg>", "</svg></div>")};
  for (const std::string& damage : damages) {
    CAPTURE(damage.substr(0, 60));
    write_file_atomically(file, damage);
    const std::vector<DamagedPiece> damaged = damaged_pieces(scratch());
    REQUIRE(damaged.size() == 1);
    CHECK(damaged[0].section == "one");
    CHECK(damaged[0].reason.find("one.json: not a stored section") != std::string::npos);
    CHECK(damaged[0].reason.size() < file.size() + 120);
    CHECK(!stored_key(scratch(), "one"));
    CHECK(stored_sections(scratch()) == std::vector<std::string>{"two"});
    Report({.title = "t"}).write(scratch());
    CHECK(!summary_of(scratch)["sections"].contains("one"));
    CHECK(summary_of(scratch)["sections"].contains("two"));
    CHECK(read_file(scratch("index.html")).find("alert(1)") == std::string::npos);
  }
  Report again({.title = "t"});
  again.add(small_section("one", 5));
  again.write(scratch());
  CHECK(damaged_pieces(scratch()).empty());
  CHECK(summary_of(scratch)["sections"]["one"]["values"]["v"] == 5);
}

TEST_CASE("a damaged summary is made anew, a whole one adds its commands and runs") {
  const Scratch scratch;
  Report(
      {.title = "t", .runs = {{.name = "a", .settings = {{"seed", "1"}}}}, .commands = {"first"}})
      .write(scratch());
  Report({.title = "t", .runs = {{.name = "b"}}, .commands = {"second"}}).write(scratch());
  CHECK(summary_of(scratch)["commands"] == nlohmann::json({"first", "second"}));
  CHECK(summary_of(scratch)["runs"].size() == 2);
  for (const char* damage : {"", "7", "{\"commands\": 3, \"runs\": []}", "{\"commands\": [",
                             "{\"commands\": [], \"runs\": [4]}"}) {
    write_file_atomically(scratch("summary.json"), damage);
    const std::vector<DamagedPiece> damaged = damaged_pieces(scratch());
    REQUIRE(damaged.size() == 1);
    CHECK(damaged[0].section.empty());
    Report({.title = "t", .commands = {"third"}}).write(scratch());
    CHECK(summary_of(scratch)["commands"] == nlohmann::json({"third"}));
  }
}

TEST_CASE("text of a stored section reaches the page escaped") {
  const Scratch scratch;
  Section section = small_section("one", 1);
  const std::string tag = "<b onclick=\"x\">&'";
  for (std::string* text :
       {&section.title, &section.question, &section.reading, &section.finding,
        &section.figures[0].title, &section.figures[0].alt, &section.values[0].label,
        &section.values[0].text, &section.values[0].detail, &section.figures[0].panels[0].title})
    *text = tag;
  section.caveats = {tag, tag};
  Report report({.title = tag, .subtitle = tag, .answer = tag, .commands = {tag}});
  report.add(section);
  report.write(scratch());
  CHECK(damaged_pieces(scratch()).empty());
  const std::string page = read_file(scratch("index.html"));
  CHECK(page.find("<b onclick") == std::string::npos);
  CHECK(demo::XmlChecker(page, true).problem() == "");
}

TEST_CASE("every figure of the house is a plain drawing") {
  for (const Section& section : demo::sections())
    for (const StoredFigure& figure : drawn(section).figures) {
      CAPTURE(figure.name);
      for (const auto* drawings : {&figure.drawings.keys, &figure.drawings.panels})
        for (const std::string& drawing : *drawings) CHECK(is_plain_drawing(drawing));
      for (const plot::PictureDrawing& picture : figure.drawings.pictures)
        CHECK(is_plain_drawing(picture.over));
    }
}

TEST_CASE("processes that write one report at once lose nothing") {
  const Scratch scratch;
  std::vector<pid_t> writers;
  for (int p = 0; p < 4; ++p) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      Report report({.title = "t", .commands = {"command " + std::to_string(p)}});
      for (int i = 0; i < 3; ++i) {
        report.add(small_section("s" + std::to_string(p) + std::to_string(i), p));
        report.write(scratch());
      }
      ::_exit(0);
    }
    writers.push_back(child);
  }
  for (const pid_t writer : writers) {
    int status = 1;
    REQUIRE(::waitpid(writer, &status, 0) == writer);
    CHECK(status == 0);
  }
  CHECK(summary_of(scratch)["sections"].size() == 12);
  CHECK(summary_of(scratch)["commands"].size() == 4);
}

TEST_CASE("a lock is waited for, and goes with its holder, also one that is killed") {
  const Scratch scratch;
  const pid_t holder = ::fork();
  REQUIRE(holder >= 0);
  if (holder == 0) {
    const FileLock lock(scratch("lock"));
    write_file_atomically(scratch("held"), "");
    ::pause();
    ::_exit(0);
  }
  while (!fs::exists(scratch("held"))) ::usleep(1000);
  int waited = 0;
  {
    const FileLock lock(scratch("lock"), [&] {
      if (++waited == 2) ::kill(holder, SIGKILL);
    });
    CHECK(waited >= 2);
  }
  ::waitpid(holder, nullptr, 0);
  const FileLock again(scratch("lock"), [] { FAIL("nobody holds it"); });
}

TEST_CASE("sections that do not apply are one line at the end of the page, by their titles") {
  const Scratch scratch;
  Report report({.title = "t"});
  Section none{.name = "none", .title = "No such thing", .finding = "Does not apply. vit: no."};
  none.applies = false;
  report.add(none);
  report.add(small_section("one", 1));
  report.write(scratch());
  const std::string page = read_file(scratch("index.html"));
  const size_t line = page.find("Does not apply: No such thing.");
  REQUIRE(line != std::string::npos);
  CHECK(line > page.find("id=\"one\""));
  CHECK(page.find("id=\"none\"") == std::string::npos);
  CHECK(page.find("#none") == std::string::npos);
  CHECK(summary_of(scratch)["sections"]["none"]["applies"] == false);
  CHECK(demo::XmlChecker(page, true).problem() == "");
}

TEST_CASE("not-a-number becomes null with a flag in the summary, and a dash on the page") {
  const Scratch scratch;
  Section section = small_section("one", 1);
  section.values = {{.key = "v", .label = "Value", .value = NAN, .headline = true}};
  Report report({.title = "t"});
  report.add(section);
  report.write(scratch());
  Report({.title = "t"}).write(scratch());  // read back from disk
  const auto summary = summary_of(scratch);
  CHECK(summary["sections"]["one"]["values"]["v"].is_null());
  CHECK(summary["headline"][0]["nonfinite"] == true);
  CHECK(read_file(scratch("index.html")).find("\u2013") != std::string::npos);
}

TEST_CASE("names that could leave the report directory are refused") {
  Report report({.title = "t"});
  CHECK_THROWS_AS(report.add(small_section("../one", 1)), Error);
  Section section = small_section("one", 1);
  section.arrays = {{.name = "a/b", .shape = {1}, .values = {1}}};
  CHECK_THROWS_AS(report.add(section), Error);
}

TEST_CASE("running text keeps numbers with their units and gets true minus signs") {
  const std::string page =
      render_page({.title = "t", .answer = "From -1.4 % to 5-6 % (-2), n = 7, on 2024-05-01."}, {});
  CHECK(
      page.find("From \u22121.4\u00a0% to 5-6\u00a0% (\u22122), n\u00a0=\u00a07, on 2024-05-01.") !=
      std::string::npos);
}

TEST_CASE("of several runs all settings that differ are shown, and none that does not") {
  const std::vector<RunCard> runs = {
      {"a", {{"seed", "1"}, {"epochs", "9"}}, {{"lr", "0.1"}, {"momentum", "0.9"}}},
      {"b",
       {{"seed", "2"}, {"epochs", "9"}, {"extra", "x"}},
       {{"lr", "0.2"}, {"momentum", "0.9"}}}};
  const std::string page = render_page({.title = "t", .runs = runs}, {});
  CHECK(demo::XmlChecker(page, true).problem() == "");
  for (const char* shown : {"seed", "extra", "lr"})
    CHECK(page.find(std::string("<th scope=\"row\">") + shown) != std::string::npos);
  for (const char* alike : {"epochs", "momentum"})
    CHECK(page.find(std::string("<th scope=\"row\">") + alike) == std::string::npos);
  const std::string alone = render_page({.title = "t", .runs = {runs[0]}}, {});
  CHECK(alone.find("<dt>epochs</dt>") != std::string::npos);
  CHECK(alone.find("<dt>lr</dt>") == std::string::npos);
}
