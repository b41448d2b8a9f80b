/**
 * The path between data and noise: x_t = alpha_t x + sigma_t n with n ~ N(0, sigma_d^2 I). The
 * paper uses two: OT-FM, a straight line, and VP-cosine, a quarter circle.
 *
 * Everything here is float64 on numbers: a training step needs t - r = 2e-7 at t = 0.994, which is
 * three steps of float32.
 *
 * @module
 */

/** Names of the interpolants, as in configurations and checkpoints. */
export type InterpolantName = "fm" | "vp_cosine";

/** alpha_t, sigma_t and what follows from them, for times 0 (data) to 1 (noise). */
export abstract class Interpolant {
  /** As configurations call it. */
  abstract readonly name: InterpolantName;

  /** Weight of the data. */
  abstract alpha(t: number): number;

  /** Weight of the noise. */
  abstract sigma(t: number): number;

  /** d(alpha)/dt. */
  abstract dAlpha(t: number): number;

  /** d(sigma)/dt. */
  abstract dSigma(t: number): number;

  /**
   * alpha_s sigma_t - alpha_t sigma_s without the cancellation of that expression: the "distance"
   * from s to t that every c_out is proportional to. Exactly 0 at s = t.
   */
  abstract cross(s: number, t: number): number;

  /** alpha_t alpha_s + sigma_t sigma_s. */
  abstract dot(s: number, t: number): number;

  /** alpha_t^2 + sigma_t^2. */
  abstract normSquared(t: number): number;

  /** -d(lambda)/dt * alpha_t * sigma_t, which is a constant for both interpolants. */
  abstract readonly logSnrSlope: number;

  /** The time at which sigma_t / alpha_t is `eta`, 0 to infinity. */
  abstract etaInverse(eta: number): number;

  /**
   * t - r for the time r with sigma_r : alpha_r = sigma : alpha, given cross = alpha sigma_t -
   * alpha_t sigma. Loses no digits however near r is to t, if `cross` has lost none.
   */
  abstract timeBetween(t: number, alpha: number, sigma: number, cross: number): number;

  /** Noise-to-signal ratio sigma_t / alpha_t; infinite where alpha_t is 0. */
  eta(t: number): number {
    return this.sigma(t) / this.alpha(t);
  }

  /** lambda_t = 2 log(alpha_t / sigma_t), falling from +infinity (data) to -infinity (noise). */
  logSnr(t: number): number {
    return 2 * Math.log(this.alpha(t) / this.sigma(t));
  }

  /** The time at which the log-SNR is `lambda`. */
  logSnrInverse(lambda: number): number {
    return this.etaInverse(Math.exp(-lambda / 2));
  }

  /** d(lambda)/dt, negative. */
  dLogSnr(t: number): number {
    return -this.logSnrSlope / (this.alpha(t) * this.sigma(t));
  }

  /**
   * DDIM(x_t, x, s, t) = y x + yt x_t (paper, Eq. 11): the step from t to s that keeps the noise,
   * given the data x. At s = t it is x_t exactly. Needs t > 0, or s = t.
   */
  ddim(s: number, t: number): { readonly y: number; readonly yt: number } {
    if (s === t) return { y: 0, yt: 1 };
    const sigma = this.sigma(t);
    return { y: this.cross(s, t) / sigma, yt: this.sigma(s) / sigma };
  }
}

/** OT-FM: alpha_t = 1 - t, sigma_t = t. */
class FlowMatching extends Interpolant {
  readonly name = "fm";
  readonly logSnrSlope = 2;

  alpha(t: number): number {
    return 1 - t;
  }

  sigma(t: number): number {
    return t;
  }

  dAlpha(_t: number): number {
    return -1;
  }

  dSigma(_t: number): number {
    return 1;
  }

  cross(s: number, t: number): number {
    return t - s;
  }

  dot(s: number, t: number): number {
    return (1 - t) * (1 - s) + t * s;
  }

  normSquared(t: number): number {
    return this.dot(t, t);
  }

  etaInverse(eta: number): number {
    return 1 / (1 + 1 / eta); // not eta / (1 + eta): this is 1 at infinity
  }

  timeBetween(_t: number, alpha: number, sigma: number, cross: number): number {
    return cross / (alpha + sigma); // over (alpha_t + sigma_t) too, which is 1
  }
}

/** VP-cosine: alpha_t = cos(pi t / 2), sigma_t = sin(pi t / 2). */
class VpCosine extends Interpolant {
  readonly name = "vp_cosine";
  readonly logSnrSlope = Math.PI;

  alpha(t: number): number {
    return Math.cos(Math.PI / 2 * t);
  }

  sigma(t: number): number {
    return Math.sin(Math.PI / 2 * t);
  }

  dAlpha(t: number): number {
    return -Math.PI / 2 * Math.sin(Math.PI / 2 * t);
  }

  dSigma(t: number): number {
    return Math.PI / 2 * Math.cos(Math.PI / 2 * t);
  }

  cross(s: number, t: number): number {
    return Math.sin(Math.PI / 2 * (t - s));
  }

  dot(s: number, t: number): number {
    return Math.cos(Math.PI / 2 * (t - s));
  }

  normSquared(_t: number): number {
    return 1;
  }

  etaInverse(eta: number): number {
    return 2 / Math.PI * Math.atan(eta);
  }

  timeBetween(t: number, alpha: number, sigma: number, cross: number): number {
    const dot = this.alpha(t) * alpha + this.sigma(t) * sigma;
    return 2 / Math.PI * Math.atan2(cross, dot);
  }
}

const INTERPOLANTS: Readonly<Record<InterpolantName, Interpolant>> = {
  fm: new FlowMatching(),
  vp_cosine: new VpCosine(),
};

/** The interpolant of a name. */
export function interpolant(name: InterpolantName): Interpolant {
  return INTERPOLANTS[name];
}
