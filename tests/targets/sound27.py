"""sound.py, which 2.7 runs as it is."""
import sound

sound.main()
