"""A report service that keeps each customer's orders as a frame with a column of strings.

usage: see software.py
"""
import pandas

import software

ROWS = 4000


class Reports:
    def __init__(self):
        self.by_month = {}

    def load(self, month):
        frame = pandas.DataFrame({
            "order": range(month * ROWS, (month + 1) * ROWS),
            "customer": ["customer %d of month %d" % (row % 977, month) for row in range(ROWS)],
            "amount": [row * 0.25 for row in range(ROWS)],
        })
        frame["day"] = pandas.Timestamp(2026, month, 1) + pandas.to_timedelta(frame["order"] % 28, unit="D")
        self.by_month[month] = frame
        return frame

    def best(self, month):
        return self.by_month[month].groupby("customer")["amount"].sum().nlargest(10)


def main():
    reports = Reports()
    for month in range(1, 7):
        reports.load(month)
    best = {month: reports.best(month) for month in reports.by_month}
    column = id(reports.by_month[3]["customer"])  # which the frame keeps
    name = id(reports.by_month[3]["customer"].iloc[1234])
    software.stay(reports=id(reports), by_month=id(reports.by_month), frame=id(reports.by_month[3]), column=column, name=name,
                  best=id(best))


main()
