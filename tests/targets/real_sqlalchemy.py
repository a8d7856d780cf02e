"""An import that changes thousands of rows in one session, which keeps them all until they are flushed.

usage: see software.py
"""
from sqlalchemy import Column, ForeignKey, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, relationship

import software

CUSTOMERS = 300
ORDERS = 3000
Base = declarative_base()


class Customer(Base):
    __tablename__ = "customers"
    id = Column(Integer, primary_key=True)
    name = Column(String(50))
    orders = relationship("Order", back_populates="customer")


class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    customer_id = Column(Integer, ForeignKey("customers.id"))
    state = Column(String(20))
    customer = relationship("Customer", back_populates="orders")


class Importer:
    def __init__(self, engine):
        self.session = Session(engine, autoflush=False)

    def run(self):
        """Nobody keeps the orders; the session does, since each of them was changed."""
        for number, order in enumerate(self.session.query(Order).order_by(Order.id)):
            order.state = "imported %d" % number


def fill(engine):
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Customer(id=n, name="customer %d" % n) for n in range(1, CUSTOMERS + 1))
        session.add_all(Order(id=n, customer_id=1 + n % CUSTOMERS, state="new") for n in range(1, ORDERS + 1))
        session.commit()


def main():
    engine = create_engine("sqlite://")
    fill(engine)
    importer = Importer(engine)
    importer.run()
    customers = importer.session.query(Customer).limit(20).all()
    software.stay(importer=id(importer), session=id(importer.session), customers=id(customers),
                  order=id(importer.session.identity_map.values()[1234]))


main()
