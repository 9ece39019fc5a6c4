// TimeLeft: how long the rest of a training takes, evaluations with it, judged by what it has
// taken.
#pragma once

namespace passband {

class TimeLeft {
 public:
  // A step on so many pictures took so many seconds. The last minute, or the last 20 steps, count
  // most, so that the estimate follows a machine that other programs begin or cease to use.
  void trained(double pictures, double seconds);
  // So many were evaluated. The newest evaluation counts.
  void evaluated(double pictures, double seconds);

  // Of what is still to be trained on and to be evaluated. Before the first evaluation, a picture
  // of it is taken to cost a third of a training's: of three products of a layer it needs one.
  double seconds(double to_train, double to_evaluate) const;

 private:
  double pictures_ = 0, seconds_ = 0;  // weighted sums
  double per_evaluated_ = -1;
};

}  // namespace passband
