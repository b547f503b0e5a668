"""`motionkit plan`: a small sample is measured, and the whole set predicted from it.

population.py  what there is: every file's length from its header, none decoded
sample.py      which videos are tried, and how much of the whole each stands for
stretch.py     a piece of a long video, copied out without encoding
measure.py     a stage that also writes down what its work takes
trial.py       the recipe over the sample, in a folder that is thrown away
estimate.py    from the sample to the whole, with a range
timing.py      from work to hours, for a number of workers
build.py       all of it, into a `forecast.Forecast`
"""
