
from parts_of_it import A
from minigan.model import Model

class MyGAN(Model):
    number = A

def train():
    return 1

def fails():
    return 1 / 0
